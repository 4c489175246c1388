import copy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from spark_scoring.errors import ConfigError
from spark_scoring.spec.job import Actual, Job, ModelRef, StopWhen, Trigger, check_job_against_wide
from spark_scoring.spec.read import parse_yaml
from spark_scoring.spec.sources import Source
from spark_scoring.spec.wide import Column, WideTable

CONF = Path(__file__).parents[1] / "conf" / "flights"
ENVIRON = {"DATA": "/data", "KAFKA": "localhost:9092"}
GIVEN: dict[str, Any] = parse_yaml(
    """
name: flight_delay
rows:
  batch:  {delta: ${DATA}/flights}
  stream: {kafka: flights, format: json}
kafka: {servers: ${KAFKA}, max_rows_per_batch: 50000, options: {kafka.sasl.jaas.config: secret, x: true}}
tables:
  planes:   {delta: ${DATA}/planes}
  weather:  {table: catalog.weather}
  arrivals: {delta: ${DATA}/arrivals, feed: {kafka: arrivals, time_unit: ms, unknown: reject}}
models: {champion: models:/flight_delay@champion}
output: {batch: ${DATA}/scores, stream: ${DATA}/scores_stream, keep: [features]}
trigger: {every: 5s}
stop_when: {rejected_share: 0.5, min_rows: 1000}
state: ${DATA}/state
registry: sqlite:///${DATA}/mlflow.db
""",
    source="test",
)
DROP = object()


def setting(path: str, value: Any) -> dict[str, Any]:
    mapping = copy.deepcopy(GIVEN)
    place: Any = mapping
    *parents, last = path.split("/")
    for part in parents:
        place = place[part]
    if value is DROP:
        del place[last]
    else:
        place[last] = value
    return mapping


def unpack(mapping: Any) -> Job:
    return Job.unpack(mapping, ENVIRON, source="job.yaml")


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


SECRET = "S3cret/@"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [("kafka", "${PW}", "kafka: expected a mapping, got a value that is not shown."),
     ("kafka/options", "${PW}", "kafka.options: expected a mapping {option: text}, got a value that is not shown."),
     ("kafka/options", SECRET, "kafka.options: expected a mapping {option: text}, got a value that is not shown."),
     ("kafka/options", {"a": f"pa${{{SECRET}}}ss"}, "kafka.options.a: '${…}' stands for an environment variable, and"),
     ("kafka/options", {"a": f"pa${{PW {SECRET}"}, "kafka.options.a: '${' begins the name of an environment variable,"),
     ("tables/planes/options", [SECRET], "tables.planes.options: expected a mapping {option: text}, got a list."),
     ("kafka/start", "${PW}", "kafka.start: '${PW}' is not allowed here. Allowed: earliest, latest."),
     ("kafka/max_rows_per_batch", "a${PW}", "kafka.max_rows_per_batch: expected a whole number, got the text 'a${PW}'"),
     ("trigger/every", "${PW}", "trigger.every: '${PW}' is not allowed here."),
     ("name", "${PW}", "name: the name '${PW}' is not allowed"),
     ("models/champion", "${PW}", "models.champion: '${PW}' is not allowed here."),
     ("registry", [SECRET], "registry: expected a URI, got a list."),
     ("registry", 12345, "registry: expected a URI, got a value that is not shown.")],
)  # fmt: skip
def test_no_message_shows_a_secret(path: str, value: Any, expected: str) -> None:
    mapping = setting(path, value)
    with pytest.raises(ConfigError) as caught:
        Job.unpack(mapping, {**ENVIRON, "PW": SECRET}, source="job.yaml")
    assert str(caught.value).startswith(f"job.yaml: {expected}") and SECRET not in str(caught.value)


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


ERRORS: list[tuple[str, Any, str]] = [
    ("modles", {}, "job.yaml: modles: unknown key 'modles'. Did you mean 'models'?"),
    ("name", "a/b", "job.yaml: name: the name 'a/b' is not allowed"),
    ("rows", {}, "job.yaml: rows: key 'batch' is missing."),
    ("rows/batch", {}, "job.yaml: rows.batch: key 'delta' is missing."),
    ("rows/batch", {"delta": "a", "csv": "b"}, "job.yaml: rows.batch: delta and csv together"),
    ("rows/batch", {"avro": "a"}, "job.yaml: rows.batch.avro: unknown key 'avro'."),
    (
        "rows/batch",
        {"delta": "${NOPE}"},
        "job.yaml: rows.batch.delta: environment variable 'NOPE' is not set.",
    ),
    (
        "rows/stream/format",
        "avro",
        "job.yaml: rows.stream.format: 'avro' is not allowed here. Allowed: json.",
    ),
    ("rows/stream/unknown", "drop", "job.yaml: rows.stream.unknown: 'drop' is not allowed here."),
    ("rows/stream/time_unit", "ns", "job.yaml: rows.stream.time_unit: 'ns' is not allowed here."),
    (
        "rows/stream/kafka",
        "arrivals",
        "job.yaml: tables.arrivals.feed.kafka: the name 'arrivals' exists already",
    ),
    ("kafka", DROP, "job.yaml: key 'kafka' is missing."),
    ("kafka/start", "now", "job.yaml: kafka.start: 'now' is not allowed here. Allowed: earliest, latest."),
    ("kafka/max_rows_per_batch", 0, "job.yaml: kafka.max_rows_per_batch: '0' is not allowed here."),
    ("kafka/max_rows_per_batch", "5", "job.yaml: kafka.max_rows_per_batch: expected a whole number"),
    ("kafka/options", {"a": []}, "job.yaml: kafka.options.a: expected a text"),
    ("kafka/options", {"kafka.bootstrap.servers": "x"}, "job.yaml: kafka.options.kafka.bootstrap.servers: the"),
    ("kafka/options", {"startingOffsets": "x"}, "job.yaml: kafka.options.startingOffsets: the option"),
    ("kafka/options", {"minPartitions": 3}, "job.yaml: kafka.options.minPartitions: the option mi"),
    ("kafka/options", {"": "x"}, "job.yaml: kafka.options.: the option '': no client"),
    ("kafka/options", {"Auto.offset.reset": "latest"}, "job.yaml: kafka.options.Auto.offset.reset: the option Auto"),
    (
        "kafka/options",
        {"kafka.isolation.level": "read_uncommitted"},
        "job.yaml: kafka.options.kafka.isolation.level",
    ),
    ("kafka/options", {"acks": 1}, "job.yaml: kafka.options.acks: the option acks: only all keeps records"),
    ("tables/planes", {"parquet": "p"}, "job.yaml: tables.planes: a table in format parquet"),
    ("tables/PLANES", {"delta": "p"}, "job.yaml: tables.PLANES: the name 'PLANES' exists already"),
    (
        "tables/planes",
        {"csv": "p", "pinned": False, "feed": {"kafka": "t"}},
        "job.yaml: tables.planes: 'feed' with",
    ),
    ("models", {}, "job.yaml: models: key 'champion' is missing."),
    ("models/champion", "flight_delay", "job.yaml: models.champion: 'flight_delay' is not allowed here."),
    ("models/challenger", {"model": "models:/a/1"}, "job.yaml: models.challenger: key 'share' is missing."),
    ("models/challenger", "models:/a/1", "job.yaml: models.challenger: key 'share' is missing. Given: model."),
    ("models/challenger", "a", "job.yaml: models.challenger: 'a' is not allowed here."),
    (
        "models/champion",
        {"model": "models:/a/1", "runtime": "java"},
        "job.yaml: models.champion.runtime: 'java' is not",
    ),
    (
        "models/challenger",
        {"model": "models:/a/1", "share": 2},
        "job.yaml: models.challenger.share: '2' is not",
    ),
    ("models/shadow", "models:/a/1", "job.yaml: models.shadow: expected a list of models"),
    ("output/stream", DROP, "job.yaml: output: key 'stream' is missing. Given: batch, keep."),
    *[
        ("output/stream", same, "job.yaml: output: batch and stream in one table")
        for same in (
            "/data/scores/",
            "/data//scores",
            "/data/./scores",
            "/data/x/../scores",
            "file:/data/scores",
            "file:///data/scores",
            "FILE:///data/scores//",
        )
    ],
    (
        "output/keep",
        ["rows"],
        "job.yaml: output.keep[0]: 'rows' is not allowed here. Allowed: input, features.",
    ),
    ("trigger", "twice", "job.yaml: trigger: expected 'once' or a mapping"),
    ("trigger", {"every": "5"}, "job.yaml: trigger.every: '5' is not allowed here."),
    (
        "stop_when/rejected_share",
        1,
        "job.yaml: stop_when.rejected_share: '1' is not allowed here. Allowed: a number of",
    ),
    ("stop_when/rejected_share", -0.1, "job.yaml: stop_when.rejected_share: '-0.1' is not allowed here."),
    ("stop_when/rejected_share", True, "job.yaml: stop_when.rejected_share: expected a number"),
    *[
        (
            path,
            "/a\0b",
            f"job.yaml: {path.replace('/', '.')}: '/a\\0b' is not allowed here. Allowed: a path, which holds no",
        )
        for path in ("state", "output/batch", "output/stream", "rows/batch/delta", "tables/planes/delta")
    ],
    *[
        (path, given, f"job.yaml: {path.replace('/', '.')}: '{given}' is not allowed here. Allowed: a path that begins")
        for path in ("state", "output/batch", "output/stream", "rows/batch/delta", "tables/planes/delta")
        for given in ("a:b/t", "2013-09-01T00:00", "file:x", ":x")
    ],
    ("models/champion", "models:/m/abc", "job.yaml: models.champion: 'models:/m/abc' is not allowed here."),
    ("trust", ["abc"], "job.yaml: trust[0]: 'abc' is not allowed here. Allowed: a model URI"),
    ("trust", ["0123456789ab"], "job.yaml: trust[0]: '0123456789ab' is not allowed here."),
    ("trust", [32 * "A"], f"job.yaml: trust[0]: '{32 * 'A'}' is not allowed here."),
    ("state", DROP, "job.yaml: key 'state' is missing."),
]


@pytest.mark.parametrize(("path", "value", "expected"), ERRORS, ids=lambda value: str(value)[:40])
def test_mistakes(path: str, value: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        unpack(setting(path, value))
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
