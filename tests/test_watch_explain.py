"""Explain: what it says of a row is what the runners write of it, and what stands in the tables."""

import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from spark_scoring import show
from spark_scoring.cli.explained import parts
from spark_scoring.errors import ConfigError, RunError
from spark_scoring.run import batch
from spark_scoring.run.runs import Span
from spark_scoring.run.stream import stream
from spark_scoring.spec.wide import Rows
from spark_scoring.testing import KafkaBroker, Record, produce
from spark_scoring.watch.explain import Asked, ExplainedStep, Explanation, explain
from spark_scoring.watch.found import _one
from spark_scoring.watch.row_key import parse_key
from spark_scoring.wide.met import AsOfMatch, LookupMatch, WindowMatch
from tests.world import DAY, FEATURES, World, arrivals, flights, make_world, record, send

NOW = datetime(2013, 9, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
GOLDEN = Path(__file__).parent / "golden" / "explain.txt"
ROWS = {row["id"]: row for row in flights()}


@pytest.fixture(scope="module")
def world(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Weather of JFK ends after ten hours, there is none of LAX, and two planes are N3."""
    made = make_world(spark_session, tmp_path_factory.mktemp("explained"))
    ends = f"timestamp'{(DAY + 10 * HOUR).isoformat()}'"
    DeltaTable.forPath(made.spark, made.table("weather")).delete(f"origin = 'JFK' and seen > {ends}")
    made.spark.sql("select 'N3' tail, 1 seats").write.format("delta").mode("append").save(made.table("planes"))
    return made


def explained(world: World, key: str, **options: Any) -> Explanation:
    return explain(world.spark, world.job, Asked(key=key, time=ROWS[key]["at"]), clock=NOW, **options)


def step(found: Explanation, kind: str) -> ExplainedStep:
    return next(step for step in found.steps if step.kind == kind)


def test_a_row_step_by_step(world: World) -> None:
    found = explained(world, "f010")
    at = ROWS["f010"]["at"]
    seen = at.replace(minute=0, second=0, microsecond=0)
    landed = [one for one in arrivals() if one["origin"] == "EWR" and at - 6 * HOUR <= one["landed"] < at]
    assert [(one.kind, one.table, one.version, one.strategy, one.match) for one in found.steps] == [
        ("lookup", "planes", 1, "broadcast", LookupMatch(found="hit")),
        (
            "as_of", "weather", 1, "broadcast",
            AsOfMatch(found="hit", time=seen, age=at - seen, known_at=None, newest=seen),
        ),
        ("window", "arrivals", 0, "broadcast", WindowMatch(start=at - 6 * HOUR, end=at, rows=len(landed))),
        ("columns", None, None, None, None),
    ]  # fmt: skip
    assert "is at most 64.0 MiB" in found.steps[0].why
    assert found.steps[0].added == {"seats": 101} and step(found, "as_of").added == {"temp": 17.0}
    assert step(found, "window").added["n"] == len(landed)
    (model,) = found.models
    assert list(model.features) == FEATURES and model.features["temp"] == 17.0 and model.features["hour"] == 7
    assert (model.runtime, model.served, found.outcome, found.equal) == ("compiled", True, "scored", 1)


@pytest.mark.parametrize(
    ("key", "kind", "match"),
    [
        ("f008", "lookup", LookupMatch(found="miss")),  # N8 is no plane
        ("f005", "lookup", LookupMatch(found="miss")),  # no tail at all
        ("f012", "lookup", LookupMatch(found="ambiguous")),
        ("f003", "as_of", AsOfMatch(found="none", time=None, age=None, known_at=None, newest=None)),
        (
            "f041", "as_of",
            AsOfMatch(found="too old", time=None, age=None, known_at=None, newest=DAY + 10 * HOUR),
        ),
    ],
)  # fmt: skip
def test_what_a_step_met(world: World, key: str, kind: str, match: Any) -> None:
    found = step(explained(world, key), kind)
    assert (found.match, set(found.added.values())) == (match, {None})


def test_the_score_is_the_one_that_is_written(world: World) -> None:
    batch.score(world.spark, world.job, span=Span(start=DAY, end=NOW, cut=timedelta(days=3)), clock=NOW)
    written = {row["id"]: row for row in world.output("batch")}
    for key in ("f010", "f012", "f020"):
        found, row = explained(world, key), written[key]
        assert (found.outcome, found.reason, found.detail) == (row["outcome"], row["reason"], row["reason_detail"])
        (model,) = found.models
        assert (model.score, model.label) == ((row["score"], row["label"]) if row["scores"] else (None, None))
    assert {written[key]["reason"] for key in ("f012", "f020")} == {"LOOKUP_AMBIGUOUS:planes", "RULE:known_origin"}


def test_what_people_see(world: World) -> None:
    found = explained(world, "f010")

    @click.command()
    def command() -> None:
        show.result(found, as_json=False, title="f010", parts=parts(found))

    # the size of a Parquet file is another on another machine
    lines = [line for line in CliRunner().invoke(command).output.splitlines() if "KiB is at most" not in line]
    # and so are the last digits of the score of a model that was fitted there
    score = found.models[0].score
    assert score == pytest.approx(0.30254059268110856, rel=1e-12)
    said = ("\n".join(lines) + "\n").replace(f" {score},", " (score),")
    if os.environ.get("SPARK_SCORING_UPDATE_GOLDEN"):
        GOLDEN.write_text(said, encoding="utf-8")
    assert said == GOLDEN.read_text(encoding="utf-8")


def test_a_row_that_is_not_there_or_not_alone(spark: SparkSession, tmp_path: Path) -> None:
    world = make_world(spark, tmp_path)
    with pytest.raises(RunError, match="no row with id=f010 at 2013-09-01T00:00:00Z; 1 row has this key at another"):
        explain(spark, world.job, Asked(key="f010", time=DAY), clock=NOW)
    with pytest.raises(ConfigError, match=r"KEY: 'tail=N1' is not allowed here\. Allowed: id=VALUE"):
        explain(spark, world.job, Asked(key="tail=N1", time=DAY), clock=NOW)
    batch_alone = replace(world.job, stream=None, output=replace(world.job.output, stream=None))
    with pytest.raises(ConfigError, match=r"'explain --stream' needs rows\.stream and output\.stream, and"):
        explain(spark, batch_alone, Asked(key="f010", time=DAY), clock=NOW, stream=True)
    path = world.table("flights")
    rows = spark.read.format("delta").load(path).where("id in ('f010', 'f011')")
    rows.where("id = 'f010'").write.format("delta").mode("append").save(path)
    rows.where("id = 'f011'").selectExpr("id", "origin", "tail", "1D miles", "at").write.format("delta").mode(
        "append"
    ).save(path)
    assert explained(world, "f010").equal == 2
    with pytest.raises(RunError, match=r"rows.batch, version 2: 2 rows with id=f011 at .* not equal"):
        explained(world, "f011")


def test_a_row_of_an_early_time(spark: SparkSession) -> None:
    time = datetime(1500, 2, 28, 12, tzinfo=UTC)
    rows = spark.createDataFrame([(time,)], "at timestamp")
    _, equal = _one(rows, Asked(key="k", time=time), {"id": "k"}, time="at", content="struct(at)", where="rows")
    assert equal == 1


def test_a_row_of_the_stream_with_what_scored_it_then(spark: SparkSession, tmp_path: Path, broker: KafkaBroker) -> None:
    keep = {"batch": str(tmp_path / "scores"), "stream": str(tmp_path / "scores_stream"), "keep": ["input"]}
    world = make_world(spark, tmp_path, servers=broker.servers, output=keep)
    for kind in ("flights", "arrivals"):
        broker.create_topic(f"{world.job.name}_{kind}", partitions=1)
    with pytest.raises(RunError, match="no commit of job"):
        explained(world, "f010", stream=True)
    send(broker, f"{world.job.name}_flights", [record(row) for row in flights(20)])
    stream(spark, world.job, once=True, now=lambda: NOW, stop=threading.Event())
    DeltaTable.forPath(spark, world.table("planes")).update(set={"seats": "999"})

    written = {row["id"]: row for row in world.output("stream")}
    found = explained(world, "f010", stream=True)
    assert (step(found, "lookup").version, step(found, "lookup").added) == (0, {"seats": 101})
    assert found.models[0].score == written["f010"]["score"]
    assert f"{world.job.name}_flights[0] at offset 10; models and tables of commit {world.job.name}/" in found.origin
    assert step(explained(world, "f010"), "lookup").added == {"seats": 999}
    refused = explained(world, "f003", stream=True)
    assert (refused.outcome, refused.reason, refused.input["origin"]) == ("rejected", "RULE:known_origin", "LAX")
    far = Record(key=None, value=record(ROWS["f021"]), timestamp_ms=int(datetime.max.timestamp() * 1000) + 10**12)
    produce(broker.servers, f"{world.job.name}_flights", [far])
    stream(spark, world.job, once=True, now=lambda: NOW, stop=threading.Event())
    assert explained(world, "f021", stream=True).outcome == "scored"


PAIR = Rows(key=["carrier", "flight"], time="at", columns={
    "carrier": "string not null", "flight": "int not null", "at": "timestamp not null",
})  # fmt: skip
ONE = Rows(key=["id"], time="at", columns={"id": "string not null", "at": "timestamp not null"})


@pytest.mark.parametrize(
    ("text", "rows", "key"),
    [
        ("f001", ONE, {"id": "f001"}),
        ("a, b", ONE, {"id": "a, b"}),
        ("id=a=b", ONE, {"id": "a=b"}),
        ("carrier=UA,flight=17", PAIR, {"carrier": "UA", "flight": "17"}),
        ("flight=17,CARRIER=U,A", PAIR, {"carrier": "U,A", "flight": "17"}),
    ],
)
def test_a_key_as_text(text: str, rows: Rows, key: dict[str, str]) -> None:
    assert list(parse_key(text, rows).items()) == list(key.items())


@pytest.mark.parametrize(
    ("text", "rows", "message"),
    [
        ("UA", PAIR, "KEY: 'UA' is not allowed here. Allowed: carrier=VALUE,flight=VALUE"),
        ("carrier=UA", PAIR, "KEY: 'carrier=UA' is not allowed here. Allowed: carrier=VALUE,flight=VALUE"),
        ("carrier=UA,flght=17", PAIR, "KEY: unknown key column 'flght'. Did you mean 'flight'?"),
        ("flight=1,flight=2", PAIR, "KEY: the name 'flight' exists already"),
        ("a=b", ONE, "KEY: 'a=b' is not allowed here. Allowed: id=VALUE"),
    ],
)
def test_a_key_that_is_none(text: str, rows: Rows, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_key(text, rows)
    assert message in str(caught.value)
