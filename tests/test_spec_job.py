"""What a job says, its models and its actuals among it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from given_job import CONF, DROP, ENVIRON, GIVEN, setting, unpack

from spark_scoring.errors import ConfigError
from spark_scoring.spec.job import Actual, Job, ModelRef, StopWhen, Trigger, check_job_against_wide
from spark_scoring.spec.sources import Source
from spark_scoring.spec.wide import Column, WideTable


def test_what_is_read() -> None:
    job = unpack(GIVEN)
    assert job.batch and job.stream and job.kafka
    assert (job.batch.format, job.batch.location, job.stream.topic) == ("delta", "/data/flights", "flights")
    assert (job.kafka.servers, job.kafka.start) == ("localhost:9092", "earliest")
    assert job.kafka.options == (("kafka.sasl.jaas.config", "secret"), ("x", "true"))
    assert [table.feed is not None for table in job.tables] == [False, False, True]
    assert job.models == (ModelRef(role="champion", uri="models:/flight_delay@champion"),)
    assert job.trigger == Trigger(every=timedelta(seconds=5)) and job.output.keep == ("features",)
    assert job.stop_when == StopWhen(rejected_share=0.5, min_rows=1000) and job.registry == "sqlite:////data/mlflow.db"


def test_no_secret_is_printed() -> None:
    assert "secret" not in repr(unpack(GIVEN))
    for path in ("rows/batch/delta", "tables/planes/delta", "output/batch", "output/stream", "state", "registry"):
        job = unpack(setting(path, "s3a://AKEY:S3cret@bucket/x"))
        assert "S3cret" not in repr(job) and "AKEY" not in repr(job)


def test_what_is_read_from_the_environment_is_plain_text() -> None:
    job = unpack(GIVEN)
    assert job.batch and job.kafka
    assert {type(one) for one in (job.batch.location, job.kafka.servers, job.state, job.registry)} == {str}


def test_the_example_in_conf_fits_its_wide_table() -> None:
    check_job_against_wide(Job.load(CONF / "job.yaml", ENVIRON), WideTable.load(CONF / "wide.yaml"))


def test_models_in_every_role() -> None:
    models = {
        "champion": {"model": "models:/a@champion"},
        "challenger": {"model": "models:/a@challenger", "share": 0.1},
        "shadow": ["models:/a/7", {"model": "models:/b/1"}],
    }
    job = unpack(setting("models", models))
    assert [(model.role, model.share) for model in job.models] == [
        ("champion", None), ("challenger", 0.1), ("shadow", None), ("shadow", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        "/data/a:b",
        "./a:b",
        "x/12:30 y",
        "s3a://k:s@b/x",
        "hdfs://h:9000/x",
        "abfss://c@acc/x",
        "dbfs:/x",
        "file:///a:b",
    ],
)
def test_a_colon_in_a_path_is_no_mistake(given: str) -> None:
    assert unpack(setting("output/batch", given)).output.batch == given


def test_a_challenger_in_python_has_a_share_too() -> None:
    job = unpack(GIVEN)
    challenger = ModelRef(role="challenger", uri="models:/a/1")
    with pytest.raises(ConfigError, match=r"^job.yaml: models.challenger: key 'share' is missing. Given: uri\."):
        replace(job, models=(*job.models, challenger))
    assert len(replace(job, models=(*job.models, replace(challenger, share=0.5))).models) == 2


def test_a_model_may_say_its_runtime() -> None:
    models = {"champion": {"model": "models:/a/1", "runtime": "arrow"}, "shadow": [{"model": "models:/a/2"}]}
    job = unpack(setting("models", models))
    assert [(model.role, model.runtime) for model in job.models] == [("champion", "arrow"), ("shadow", None)]


@pytest.mark.parametrize(
    ("path", "value"),
    [("trigger", "once"), ("trigger", DROP), ("tables/planes", {"parquet": "p", "pinned": False}),
     ("rows/batch", {"csv": "x.csv", "options": {"header": True}}), ("rows/batch", {"table": "a.b"}),
     ("output/stream", "s3a://data/scores"), ("output/stream", "/data/Scores"), ("output/stream", "data/scores")],
)  # fmt: skip
def test_what_is_allowed(path: str, value: Any) -> None:
    unpack(setting(path, value))


DELAY: dict[str, Any] = {
    "delta": "${DATA}/arrivals", "on": {"flight_id": "id"}, "time": "arrived_at", "column": "arr_delay",
    "matures_after": "2d",
}  # fmt: skip


def test_actuals() -> None:
    text = {"csv": "x.csv", "pinned": False, "columns": {"id": "Long", "late": "boolean"}, "options": {"sep": ";"}}
    late = {**text, "on": ["id"], "column": "late", "matures_after": "90s"}
    job = unpack(setting("actuals", {"delay": DELAY, "late": late}))
    assert job.actuals[0] == Actual(
        name="delay",
        source=Source(format="delta", location="/data/arrivals"),
        on=(("flight_id", "id"),),
        column="arr_delay",
        matures_after=timedelta(days=2),
        time="arrived_at",
    )
    assert job.actual("LATE", where="--with") == job.actuals[1]
    assert (job.actuals[1].on, job.actuals[1].time) == ((("id", "id"),), None)
    assert job.actuals[1].columns[0] == Column(name="id", type="bigint", nullable=True)
    assert unpack(GIVEN).actuals == ()
    assert ";" not in str(job.actuals[1].pack()) and job.actuals[1].pack()["matures_after"] == "90s"


def test_an_actual_that_the_job_does_not_have() -> None:
    with pytest.raises(ConfigError) as caught:
        unpack(setting("actuals", {"delay": DELAY})).actual("dealy", where="--with")
    assert str(caught.value) == "--with: unknown actual of job.yaml 'dealy'. Did you mean 'delay'? Allowed: delay."


ACTUAL_ERRORS: list[tuple[Any, str]] = [
    (["delay"], "job.yaml: actuals: expected a mapping {actual: where it is}, got a list"),
    ({"label": DELAY}, "job.yaml: actuals.label: the name 'label' is not allowed: the output table has"),
    ({"a b": DELAY}, "job.yaml: actuals.a b: the name 'a b' is not allowed"),
    ({"d": DELAY, "D": DELAY}, "job.yaml: actuals.D: the name 'D' exists already: actual d"),
    ({"d": {**DELAY, "tiem": "t"}}, "job.yaml: actuals.d.tiem: unknown key 'tiem'. Did you mean 'time'?"),
    ({"d": {**DELAY, "feed": {"kafka": "t"}}}, "job.yaml: actuals.d.feed: unknown key 'feed'."),
    ({"d": {**DELAY, "csv": "x"}}, "job.yaml: actuals.d: delta and csv together"),
    ({"d": {k: v for k, v in DELAY.items() if k != "delta"}}, "job.yaml: actuals.d: key 'delta' is missing."),
    ({"d": {k: v for k, v in DELAY.items() if k != "on"}}, "job.yaml: actuals.d: key 'on' is missing."),
    ({"d": {k: v for k, v in DELAY.items() if k != "column"}}, "job.yaml: actuals.d: key 'column' is missing."),
    ({"d": {k: v for k, v in DELAY.items() if k != "matures_after"}}, "job.yaml: actuals.d: key 'matures_after' is"),
    ({"d": {**DELAY, "on": []}}, "job.yaml: actuals.d.on: expected a list of columns, or a mapping"),
    ({"d": {**DELAY, "time": 7}}, "job.yaml: actuals.d.time: expected a column name, got the number 7"),
    ({"d": {**DELAY, "matures_after": "2 days"}}, "job.yaml: actuals.d.matures_after: '2 days' is not allowed here."),
    ({"d": {**DELAY, "delta": "${NOPE}"}}, "job.yaml: actuals.d.delta: environment variable 'NOPE' is not set."),
    ({"d": {**DELAY, "columns": {"id": "int"}}}, "job.yaml: actuals.d: 'columns' for delta: it carries its own types"),
]


@pytest.mark.parametrize(("value", "expected"), ACTUAL_ERRORS, ids=lambda value: str(value)[-40:])
def test_mistakes_in_actuals(value: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        unpack(setting("actuals", value))
    assert str(caught.value).startswith(expected)


def test_an_actual_without_versions_or_types_says_so() -> None:
    bare = {key: value for key, value in DELAY.items() if key != "delta"}
    for place, expected in (
        ({"parquet": "p"}, "job.yaml: actuals.d: a table in format parquet"),
        ({"json": "p", "pinned": False}, "job.yaml: actuals.d: key 'columns' is missing."),
        ({"csv": "p", "pinned": False, "columns": {"id": "strnig"}}, "job.yaml: actuals.d.columns.id: 'strnig' is"),
    ):
        with pytest.raises(ConfigError) as caught:
            unpack(setting("actuals", {"d": {**bare, **place}}))
        assert str(caught.value).startswith(expected)


def test_a_job_must_place_every_table_and_bound_every_feed() -> None:
    wide = WideTable.load(CONF / "wide.yaml")
    with pytest.raises(ConfigError, match=r"job.yaml: tables: key 'airports' is missing"):
        check_job_against_wide(unpack(GIVEN), wide)
    packed = wide.pack()
    del packed["steps"][2]["max_age"]
    mapping = setting("tables/airports", {"delta": "a"})
    mapping["tables"]["weather"] = {"delta": "w", "feed": {"kafka": "weather"}}
    with pytest.raises(ConfigError, match=r"steps\[2\]: as_of weather without 'max_age'"):
        check_job_against_wide(unpack(mapping), WideTable.unpack(packed))


def test_trust_names_models_whose_code_may_run() -> None:
    assert unpack(setting("trust", ["models:/a/1", 32 * "a"])).trust == ("models:/a/1", 32 * "a")
    assert unpack(GIVEN).trust == ()
    with pytest.raises(ConfigError, match=r"job.yaml: trust: .*a list of model URIs or digests"):
        unpack(setting("trust", "models:/a/1"))
