"""The stream runner over a real broker and real Delta tables."""

import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_scoring.errors import RunError, StateError
from spark_scoring.io import delta
from spark_scoring.run import batch, generation, ledger, output, stream
from spark_scoring.run.prepared import Prepared
from spark_scoring.run.runs import Span
from spark_scoring.spec.plan import Plan
from spark_scoring.testing import KafkaBroker
from spark_scoring.watch import parity, status, verify
from tests.marks import slow
from tests.world import DAY, WIDE, World, arrivals, flights, make_world, package_model, record, send

BROKEN = [None, b"{", b'{"id": "x"} {}', b'{"id": "z1"}', b'{"id": 7, "origin": "EWR", "at": "2013-09-01T00:00:00Z"}']


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path, broker: KafkaBroker) -> World:
    return with_topics(make_world(spark, tmp_path, servers=broker.servers), broker)


def with_topics(made: World, broker: KafkaBroker) -> World:
    for kind in ("flights", "arrivals"):
        broker.create_topic(f"{made.job.name}_{kind}", partitions=2)
    return made


def run(world: World) -> None:
    stream.stream(world.spark, world.job, once=True, now=now, stop=threading.Event())


def test_stream_and_batch_give_the_same_rows(world: World, broker: KafkaBroker) -> None:
    send(broker, f"{world.job.name}_flights", [record(row) for row in flights()])
    run(world)
    span = Span(start=DAY, end=DAY + timedelta(days=2), cut=timedelta(days=1))
    batch.score(world.spark, world.job, span=span, clock=now())

    def bare(side: str) -> list[dict[str, object]]:
        return [{k: v for k, v in row.items() if k not in ("source", "raw")} for row in world.output(side)]

    assert bare("stream") == bare("batch")


@pytest.mark.slow
def test_where_whole_tables_are_kept_stream_and_batch_give_the_same_rows(
    spark: SparkSession, tmp_path: Path, broker: KafkaBroker
) -> None:
    # without a feed nothing has to be known of the rows before they are scored
    unfed = {name: {"delta": str(tmp_path / name)} for name in WIDE["tables"]}
    world = with_topics(make_world(spark, tmp_path, servers=broker.servers, tables=unfed), broker)
    send(broker, f"{world.job.name}_flights", [record(row) for row in flights()])
    run(world)
    span = Span(start=DAY, end=DAY + timedelta(days=2), cut=timedelta(days=1))
    batch.score(world.spark, world.job, span=span, clock=now())

    rows = {side: [{**row, "source": None, "raw": None} for row in world.output(side)] for side in ("stream", "batch")}
    commits = ledger.scored_commits(world.spark, str(world.job.output.stream), job=world.job.name)
    assert key_sorted(rows["stream"]) == key_sorted(rows["batch"])
    assert parity.exact(world.spark, world.job, commits).holds


def test_a_plan_is_used_until_a_table_or_a_model_moves(
    spark: SparkSession, tmp_path: Path, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {
        "tables": {name: {"delta": str(tmp_path / name)} for name in WIDE["tables"]},
        "kafka": {"servers": broker.servers, "max_rows_per_batch": 6},
    }
    made = make_world(spark, tmp_path, servers=broker.servers, own_registry=True, **changes)
    world, commits = with_topics(made, broker), []
    planned: dict[str, list[int]] = {"wide": [], "output": []}

    def remember(self: Prepared, what: str, *args: DataFrame, about: object) -> None:
        planned[what].append(len(commits))
        remembered(self, what, *args, about=about)

    def moved(plan: Plan) -> None:
        commits.append(plan)
        if len(commits) == 3:
            planes = spark.read.format("delta").load(world.table("planes")).withColumn("seats", F.lit(7))
            planes.localCheckpoint().write.format("delta").mode("overwrite").save(world.table("planes"))
        if len(commits) == 6:
            package_model(spark, world.folder, strength=0.01)

    remembered = Prepared.remember
    monkeypatch.setattr(Prepared, "remember", remember)
    send(broker, f"{world.job.name}_flights", [record(row) for row in flights()])
    stream.stream(spark, world.job, once=True, now=now, stop=threading.Event(), progress=moved)

    # each commit is planned anew by parity: its own rows, tables and models
    exact = parity.exact(
        spark, world.job, ledger.scored_commits(spark, str(world.job.output.stream), job=made.job.name)
    )
    assert planned == {"wide": [0, 3], "output": [0, 3, 6]} and len(commits) >= 10
    assert (exact.rows, exact.different, exact.not_checkable) == (60, 0, ())
    assert verify.verify_stream(spark, world.job).holds
    assert len({row["id"] for row in world.output("stream")}) == 60


def key_sorted(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(rows, key=lambda row: str(row["id"]))


def test_bad_records_are_kept_and_nothing_is_lost(world: World, broker: KafkaBroker) -> None:
    good = [record(row) for row in flights(50)]
    send(broker, f"{world.job.name}_flights", [*good[:20], *BROKEN, *good[20:]])
    run(world)

    rows = world.output("stream")
    kept = {(row["reason"], row["raw"] and bytes(row["raw"])) for row in rows if row["reason"] in ("PARSE", "SCHEMA")}
    expected = {*(("PARSE", value) for value in BROKEN[:3]), *(("SCHEMA", value) for value in BROKEN[3:])}
    verdict = verify.verify_stream(world.spark, world.job)
    assert len(rows) == 55
    assert kept == expected
    assert (verdict.holds, sum(p.records or 0 for p in verdict.partitions)) == (True, 55)


def test_a_feed_reaches_the_rows_after_it(world: World, broker: KafkaBroker) -> None:
    landing = {"origin": "EWR", "landed": DAY + timedelta(hours=30), "delay": 500.0}
    send(broker, f"{world.job.name}_arrivals", [record(landing), b"{"])
    send(broker, f"{world.job.name}_flights", [record({**flights(1)[0], "at": DAY + timedelta(hours=31)})])
    run(world)

    (row,) = world.output("stream")
    before = [
        a for a in arrivals() if a["origin"] == "EWR" and timedelta(hours=25) <= a["landed"] - DAY < timedelta(hours=31)
    ]
    rejected = world.spark.read.format("delta").load(f"{world.job.state}/feed_rejected").collect()
    (feed,) = verify.verify_stream(world.spark, world.job).feeds
    assert row["features"]["n"] == len(before) + 1
    assert (feed.holds, feed.records, feed.rows, feed.rejected) == (True, 2, 1, 1)
    assert [(r["feed"], r["reason"], bytes(r["raw"])) for r in rejected] == [("arrivals", "PARSE", b"{")]


def test_cuts_and_restarts_change_no_row(world: World, broker: KafkaBroker) -> None:
    topic = f"{world.job.name}_flights"
    for part in range(3):
        send(broker, topic, [record(row) for row in flights()[part * 20 : part * 20 + 20]])
        run(world)

    commits = ledger.scored_commits(world.spark, str(world.job.output.stream), job=world.job.name)
    exact = parity.exact(world.spark, world.job, commits)
    late = parity.late(world.spark, world.job, commits)
    assert (len(commits), len({c.plan.commit_id for c in commits})) == (3, 3)
    assert (exact.rows, exact.different, exact.not_checkable, late.rows, late.any_feature) == (60, 0, (), 56, 0)
    assert verify.verify_stream(world.spark, world.job).holds
    assert status.status(world.spark, world.job).waiting == 0


@pytest.mark.slow
def test_a_lost_checkpoint_stops_and_recover_goes_on(world: World, broker: KafkaBroker) -> None:
    topic = f"{world.job.name}_flights"
    send(broker, topic, [record(row) for row in flights(30)])
    run(world)
    Path(world.job.state, "checkpoint").rename(world.folder / "gone")
    send(broker, topic, [record(row) for row in flights()[30:]])

    with pytest.raises(StateError, match="spark-scoring recover"):
        run(world)
    generation.recover(world.spark, world.job, consent=generation.Consent(by="me", at=now().isoformat()))
    run(world)
    run(world)

    assert verify.verify_stream(world.spark, world.job).holds
    assert len(world.output("stream")) == 60


def test_an_alias_that_moves_takes_over_between_micro_batches(
    spark: SparkSession, tmp_path: Path, broker: KafkaBroker
) -> None:
    world = with_topics(make_world(spark, tmp_path, servers=broker.servers, own_registry=True), broker)
    topic = f"{world.job.name}_flights"
    send(broker, topic, [record(row) for row in flights(30)])
    run(world)
    package_model(world.spark, world.folder, strength=0.01)
    send(broker, topic, [record(row) for row in flights()[30:]])
    run(world)

    served = {row["model_version"] for row in world.output("stream") if row["outcome"] == "scored"}
    commits = ledger.scored_commits(world.spark, str(world.job.output.stream), job=world.job.name)
    assert served == {"1", "2"}
    assert parity.exact(world.spark, world.job, commits).holds


def test_a_replay_after_the_commit_writes_nothing(world: World, broker: KafkaBroker) -> None:
    send(broker, f"{world.job.name}_flights", [record(row) for row in flights(30)])
    run(world)
    before = world.output("stream")
    # as after a kill between the Delta commit and Spark's own: the same batch id comes again with the same offsets
    for mark in Path(world.job.state, "checkpoint", "commits").iterdir():
        mark.unlink()
    run(world)

    assert world.output("stream") == before
    assert verify.verify_stream(world.spark, world.job).holds


@pytest.mark.slow
def test_a_replay_after_the_feed_appends_it_once(
    world: World, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(broker, f"{world.job.name}_arrivals", [record(row) for row in arrivals(5)])
    send(broker, f"{world.job.name}_flights", [record(row) for row in flights(5)])
    with monkeypatch.context() as patched:
        patched.setattr(output, "unstamped", killed)
        with pytest.raises(Killed):
            run(world)
    run(world)

    (feed,) = verify.verify_stream(world.spark, world.job).feeds
    fed = world.spark.read.format("delta").load(world.table("arrivals")).count()
    assert (fed, feed.holds, feed.rows) == (len(arrivals()) + 5, True, 5)


@pytest.mark.parametrize(
    ("kept", "older"),
    [("scores_stream", False), ("arrivals", True), slow("scores_stream", True), slow("arrivals", False)],
)
def test_a_table_that_is_taken_away_under_a_stream_is_not_made_anew(
    spark: SparkSession, tmp_path: Path, broker: KafkaBroker, kept: str, older: bool
) -> None:
    kafka = {"servers": broker.servers, "max_rows_per_batch": 8}
    world = with_topics(make_world(spark, tmp_path, servers=broker.servers, kafka=kafka), broker)
    table, copy, commits = tmp_path / kept, tmp_path / "copy", list[str]()
    send(broker, f"{world.job.name}_arrivals", [record(row) for row in arrivals(4)])
    send(broker, f"{world.job.name}_flights", [record(row) for row in flights(30)])

    def taken_away(plan: Plan) -> None:
        commits.append(plan.commit_id)
        if len(commits) == 1:
            shutil.copytree(table, copy)
        if len(commits) == 2:
            shutil.rmtree(table)
            if older:
                shutil.copytree(copy, table)

    with pytest.raises(StateError, match=f"{kept} is not the table that it was"):
        stream.stream(spark, world.job, once=True, now=now, stop=threading.Event(), progress=taken_away)

    assert len(commits) == 2
    assert delta.current_version(spark, str(table)) == (delta.current_version(spark, str(copy)) if older else -1)


class Killed(Exception):
    """Stands for the end of the process."""


def killed(*_: object, **__: object) -> None:
    raise Killed


def test_the_brake_stops_after_the_commit(spark: SparkSession, tmp_path: Path, broker: KafkaBroker) -> None:
    rule = {"rejected_share": 0.5, "min_rows": 4}
    world = with_topics(make_world(spark, tmp_path, servers=broker.servers, stop_when=rule), broker)
    send(broker, f"{world.job.name}_flights", BROKEN)

    with pytest.raises(RunError, match="5 of 5 rows were rejected"):
        run(world)
    assert len(world.output("stream")) == 5
