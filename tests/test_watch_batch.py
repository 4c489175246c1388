"""Verify of a batch output: a change that nobody planned is seen until all that it may have hit is scored again."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyspark.sql.functions as F
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from spark_scoring.io import delta
from spark_scoring.run import batch
from spark_scoring.run.runs import Span
from spark_scoring.watch import verify
from tests.marks import slow
from tests.world import DAY, World, make_world

HOUR = timedelta(hours=1)
NOON = "timestamp'2013-09-01 12:00:00'"


@pytest.fixture(scope="module")
def whole(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_world(spark_session, tmp_path_factory.mktemp("whole"))
    score(made)
    return made


@pytest.fixture
def world(whole: World, spark: SparkSession, tmp_path: Path) -> World:
    """Two days that were scored, one commit for each, in a table of its own."""
    shutil.copytree(str(whole.job.output.batch), tmp_path / "scores")
    return replace(whole, job=replace(whole.job, output=replace(whole.job.output, batch=str(tmp_path / "scores"))))


def score(world: World, start: int = 0, end: int = 48, *, cut: int = 24, allow_empty: bool = False) -> None:
    """Hours of the two days."""
    span = Span(start=DAY + start * HOUR, end=DAY + end * HOUR, cut=cut * HOUR)
    batch.score(world.spark, world.job, span=span, clock=datetime.now(UTC), allow_empty=allow_empty)


def table(world: World) -> DeltaTable:
    return DeltaTable.forPath(world.spark, str(world.job.output.batch))


def broken(world: World) -> tuple[str, ...]:
    verdict = verify.verify_batch(world.spark, world.job)
    assert verdict.holds == (not verdict.broken)
    return verdict.broken


@pytest.mark.parametrize(
    ("gone", "again"),
    [
        ("event_date = '2013-09-01'", (24, 48)),
        (f"event_time < {NOON}", (12, 48)),
        slow("true", (0, 40)),
        slow("true", (6, 48)),
    ],
)
def test_a_change_is_seen_until_all_that_was_there_is_scored_again(
    world: World, gone: str, again: tuple[int, int]
) -> None:
    table(world).delete(gone)
    score(world, *again, cut=500)

    assert broken(world)[0].startswith("version 2: DELETE changed data and carries no plan; ")
    score(world, cut=7)
    assert (broken(world), len(world.output("batch"))) == ((), 60)


def test_a_change_of_intervals_that_overlap_or_were_emptied(world: World) -> None:
    score(world, 6, 30, cut=5)
    rows = world.spark.read.format("delta").load(world.table("flights")).where(f"at > {NOON}")
    rows.limit(1).selectExpr("id", "origin", "tail", "miles", "cast(null as timestamp) as at").write.format(
        "delta"
    ).mode("append").save(world.table("flights"))
    try:
        DeltaTable.forPath(world.spark, world.table("flights")).delete(f"at < {NOON}")
        score(world, 0, 20, cut=12, allow_empty=True)
        table(world).optimize().executeCompaction()
        assert broken(world) == ()
        before = table(world).history(1).collect()[0]["version"]
        table(world).delete("event_date = '2013-09-02'")
        score(world, 12, 48)
        assert broken(world) == ()
        table(world).restoreToVersion(0)
        score(world, 12, 48)
        assert "RESTORE" in broken(world)[0]
        table(world).restoreToVersion(before)
        score(world, allow_empty=True)
        assert broken(world) == ()
    finally:
        DeltaTable.forPath(world.spark, world.table("flights")).restoreToVersion(0)


def test_what_a_run_commits_meanwhile_is_no_break(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read = delta.history

    def history(spark: SparkSession, path: str, newest: int | None = None) -> tuple[delta.Entry, ...]:
        log = read(spark, path, newest)
        monkeypatch.undo()
        score(world, cut=500)
        return log

    monkeypatch.setattr(delta, "history", history)
    assert broken(world) == ()


def test_a_key_is_repeated_at_one_event_time(spark: SparkSession) -> None:
    rows = [
        ("daily", 1, "scored"),
        ("daily", 2, "scored"),
        *[("twice", 1, "scored")] * 2,
        *[("bad", 1, "rejected")] * 2,
    ]
    frame = spark.createDataFrame(rows, "id string, event_time long, outcome string")
    assert verify._repeated_keys(frame.withColumn("event_time", F.timestamp_seconds("event_time"))) == 1
