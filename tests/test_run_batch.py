"""The batch runner over real Delta tables and a real model."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.run import check, ledger
from spark_scoring.run.runs import Span
from spark_scoring.run.widen import widen
from tests.batch_runs import NOW, SPAN, score
from tests.world import DAY, World, job_mapping, make_world


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path) -> Iterator[World]:
    yield make_world(spark, tmp_path)


def test_every_row_is_scored_or_rejected_once(world: World) -> None:
    done = score(world)

    rows = world.output("batch")
    reasons = {row["id"]: row["reason"] for row in rows if row["outcome"] == "rejected"}
    expected = {f"f{i:03d}": "RULE:known_origin" for i in range(60) if i % 17 == 3}
    assert (len(rows), reasons, done.counts.rows, done.counts.rejected) == (60, expected, 60, 4)
    assert all((row["score"] is None) == (row["outcome"] == "rejected") for row in rows)


def test_again_is_the_same_and_every_commit_carries_its_plan(world: World) -> None:
    score(world)
    first = world.output("batch")
    score(world)

    commits = ledger.commits(world.spark, str(world.job.output.batch), job=world.job.name)
    assert world.output("batch") == first
    assert [c.plan.commit_id.split("/")[1] for c in commits] == [
        "2013-09-01T00:00:00Z..2013-09-02T00:00:00Z",
        "2013-09-02T00:00:00Z..2013-09-03T00:00:00Z",
    ]
    assert commits[0].plan.tables == {"planes": 0, "weather": 0, "arrivals": 0}


@pytest.fixture
def skipping(spark: SparkSession) -> Iterator[None]:
    settings = {"spark.databricks.delta.write.txnAppId": "nightly", "spark.databricks.delta.write.txnVersion": "1"}
    for name, value in settings.items():
        spark.conf.set(name, value)
    yield
    for name in settings:
        spark.conf.unset(name)


@pytest.mark.usefixtures("skipping")
def test_a_session_in_which_delta_would_skip_commits_is_refused(world: World) -> None:
    with pytest.raises(ConfigError, match=r"sets spark\.databricks\.delta\.write\.txnAppId"):
        score(world)

    assert not DeltaTable.isDeltaTable(world.spark, str(world.job.output.batch))


@pytest.mark.slow
def test_an_interval_leaves_the_others_alone(world: World) -> None:
    score(world)
    before = world.output("batch")
    half = Span(start=DAY + timedelta(hours=3), end=DAY + timedelta(hours=9), cut=timedelta(hours=2))
    score(world, span=half)

    assert world.output("batch") == before


def test_cuts_change_no_row(world: World) -> None:
    score(world)
    whole = world.output("batch")
    score(world, span=Span(start=DAY, end=SPAN.end, cut=timedelta(hours=5)))

    assert world.output("batch") == whole


def test_an_empty_source_does_not_wipe_an_interval(world: World) -> None:
    score(world)
    DeltaTable.forPath(world.spark, world.table("flights")).delete()

    with pytest.raises(RunError, match="--allow-empty"):
        score(world)
    assert len(world.output("batch")) == 60
    score(world, allow_empty=True)
    assert world.output("batch") == []


@pytest.mark.slow
def test_a_day_without_rows_is_no_commit(world: World) -> None:
    score(world)
    days = Span(start=DAY - timedelta(days=1), end=DAY + timedelta(days=3), cut=timedelta(days=1))
    done = score(world, span=days)

    commits = ledger.commits(world.spark, str(world.job.output.batch), job=world.job.name)
    assert [plan.counts and plan.counts.rows for plan in done.plans] == [0, 31, 29, 0]
    assert {commit.plan.commit_id for commit in commits} == {done.plans[1].commit_id, done.plans[2].commit_id}
    assert len(world.output("batch")) == 60


def test_columns_of_the_source_that_nothing_declares_change_nothing(world: World) -> None:
    score(world)
    expected = world.output("batch")
    names = ["__bad", "__parse", "__source", "__scores", "__index_level_0__", "Scores", "score", "event_time"]
    source = world.spark.read.format("delta").load(world.table("flights"))
    wider = source.selectExpr("*", *[f"{i} as `{name}`" for i, name in enumerate(names)])
    wider.write.format("delta").mode("overwrite").option("mergeSchema", "true").save(world.table("flights"))
    score(world)

    assert world.output("batch") == expected
    widen(world.spark, world.job, None, span=SPAN, out=world.table("wider"), clock=NOW)
    assert world.spark.read.format("delta").load(world.table("wider")).count() == 56


def test_a_parquet_table_of_the_catalog_gives_the_same_rows(world: World, tmp_path: Path) -> None:
    score(world)
    name = f"planes_{world.job.name}"
    world.spark.read.format("delta").load(world.table("planes")).write.format("parquet").saveAsTable(name)
    tables = job_mapping(world.folder, name="x", servers="127.0.0.1:1")["tables"]
    output = {"batch": str(tmp_path / "again"), "stream": str(tmp_path / "stream")}
    other = {**tables, "planes": {"table": name, "pinned": False}}
    again = make_world(world.spark, world.folder, tables=other, output=output)
    done = score(again)
    bare = make_world(world.spark, world.folder, tables={**tables, "planes": {"table": name}}, output=output)
    try:
        assert again.output("batch") == world.output("batch")
        assert {plan.tables["planes"] for plan in done.plans} == {None}
        with pytest.raises(RunError, match="add 'pinned: false'"):
            score(bare)
    finally:
        world.spark.sql(f"drop table {name}")


def test_an_output_among_other_files_is_refused_and_what_a_failed_first_write_left_is_not(world: World) -> None:
    target = Path(str(world.job.output.batch))
    world.spark.range(3).write.parquet(str(target))
    before = sorted(target.iterdir())
    for attempt in (lambda: score(world), lambda: check.check(world.spark, world.job)):
        with pytest.raises(RunError, match=r"scores: no Delta table is there, but other files: part-"):
            attempt()
    assert sorted(target.iterdir()) == before and not Path(world.job.state).exists()
    target.rename(world.table("loose"))
    with pytest.raises(RunError, match=r"loose: no Delta table is there"):
        widen(world.spark, world.job, None, span=SPAN, out=world.table("loose"), clock=NOW)

    broken = world.spark.range(0, 4, numPartitions=2).selectExpr("if(id = 3, raise_error('no'), id) as id")
    with pytest.raises(Py4JJavaError, match="TASK_WRITE_FAILED"):
        broken.write.format("delta").save(str(target))
    assert any(target.rglob("*.parquet"))
    assert score(world).counts.rows == 60


def test_the_rows_say_whose_a_table_is_whose_log_does_not(world: World) -> None:
    score(world)
    target, copied = str(world.job.output.batch), world.table("copied")
    world.spark.read.format("delta").load(target).write.format("delta").save(copied)
    found = [ledger.owner_of(world.spark, path) for path in (target, copied, world.table("nothing"))]
    name = world.job.name
    assert found == [ledger.Owner(job=name, kind=ledger.BATCH), ledger.Owner(job=name), None]


def test_a_challenger_serves_its_share_and_a_shadow_none(spark: SparkSession, tmp_path: Path) -> None:
    same = "models:/late@champion"
    models = {"champion": same, "challenger": {"model": same, "share": 0.5}, "shadow": [same]}
    world = make_world(spark, tmp_path, models=models)
    score(world)

    drawn = spark.createDataFrame([(f"f{i:03d}",) for i in range(60)], "id string")
    drawn = drawn.where(f"pmod(xxhash64('{world.job.name}', id), 10000) < 5000")
    rows = [row for row in world.output("batch") if row["outcome"] == "scored"]
    assert {row["id"] for row in rows if row["role"] == "challenger"} <= {row["id"] for row in drawn.collect()}
    assert {row["role"] for row in rows} == {"champion", "challenger"}
    assert {tuple(one["role"] for one in row["scores"]) for row in rows} == {("champion", "challenger", "shadow")}
    assert all(one["score"] == row["score"] for row in rows for one in row["scores"])
