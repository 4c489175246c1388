"""The batch runner over real Delta tables and a real model."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyspark.sql.functions as F
import pytest
from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, SparkSession

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.io import delta, delta_upkeep
from spark_scoring.run import batch, check, ledger, runs
from spark_scoring.run.runs import Span
from spark_scoring.run.widen import widen
from spark_scoring.spec.job import Source
from spark_scoring.spec.nouns import Rows
from spark_scoring.spec.plan import Plan
from tests.marks import slow
from tests.world import DAY, World, flights, job_mapping, make_world

SPAN = Span(start=DAY, end=DAY + timedelta(days=2), cut=timedelta(days=1))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path) -> Iterator[World]:
    yield make_world(spark, tmp_path)


def score(world: World, *, span: Span = SPAN, clock: datetime = NOW, **options: Any) -> batch.Result:
    return batch.score(world.spark, world.job, span=span, clock=clock, **options)


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


def add_undated(world: World) -> None:
    extra = flights(2)
    extra[0] |= {"id": "no_time", "at": None}
    extra[1] |= {"id": "too_late", "at": datetime(2999, 1, 1, tzinfo=UTC)}
    schema = world.spark.read.format("delta").load(world.table("flights")).schema
    frame = world.spark.createDataFrame([tuple(row.values()) for row in extra], schema)
    frame.write.format("delta").mode("append").save(world.table("flights"))


def undated(world: World) -> list[tuple[str, str, None]]:
    return [(r["id"], r["reason"], r["event_time"]) for r in world.output("batch") if r["event_date"] is None]


UNDATED = [("no_time", "SCHEMA", None), ("too_late", "SCHEMA", None)]


def test_rows_without_a_time_are_kept_and_an_interval_has_none_of_them(world: World) -> None:
    add_undated(world)
    year = Span(start=datetime(2999, 1, 1, tzinfo=UTC), end=datetime(3000, 1, 1, tzinfo=UTC), cut=timedelta(days=400))

    assert score(world, span=year).counts.rows == 2
    assert undated(world) == UNDATED
    score(world)
    assert score(world, span=year).counts.rows == 2
    assert undated(world) == UNDATED and len(world.output("batch")) == 62


@pytest.mark.parametrize("low", [DAY, datetime(1500, 2, 27, tzinfo=UTC)])
def test_a_row_of_the_span_or_without_a_time_is_in_exactly_one_commit(spark: SparkSession, low: datetime) -> None:
    moment, day = timedelta(microseconds=1), timedelta(days=1)
    high = low + 3 * day
    rows = Rows(key=["at"], time="at", columns={"at": "timestamp"}, time_range=(low, high))
    days = [low + n * day for n in range(-2, 7)]
    times = [None, *[at + d * moment for at in days for d in (-1, 0, 1)]]
    spans = [Span(start=start, end=end, cut=timedelta(hours=36)) for start in days for end in days if start < end]

    def commits(span: Span) -> Column:
        each = [batch.without_time(rows), *[batch.in_interval(rows, *bounds) for bounds in batch.cuts(span)]]
        return sum((F.coalesce(one, F.lit(False)).cast("int") for one in each), F.lit(0))

    def expected(at: datetime | None, span: Span) -> int:
        return int(at is None or not low <= at < high or span.start <= at < span.end)

    frame = spark.createDataFrame([(at,) for at in times], "at timestamp")
    found = frame.select(F.array([commits(span) for span in spans]).alias("commits")).collect()
    assert [row["commits"] for row in found] == [[expected(at, span) for span in spans] for at in times]


@pytest.mark.parametrize("cut", [timedelta(days=1), timedelta(hours=7), timedelta.max])
def test_cuts_end_with_the_calendar(cut: timedelta) -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for span in (
        Span(start=first, end=first + timedelta(days=1), cut=cut),
        Span(start=last - cut / 9**9, end=last, cut=cut),
    ):
        found = list(batch.cuts(span))
        assert (found[0][0], found[-1][1]) == (span.start, span.end)


@pytest.mark.slow
def test_an_empty_source_does_not_wipe_the_rows_without_a_time(world: World) -> None:
    add_undated(world)
    score(world)
    source = DeltaTable.forPath(world.spark, world.table("flights"))
    elsewhere = Span(start=DAY + timedelta(days=9), end=DAY + timedelta(days=10), cut=timedelta(days=1))

    source.delete()
    with pytest.raises(RunError, match=r"/undated: .* --allow-empty"):
        score(world, span=elsewhere)
    assert undated(world) == UNDATED
    score(world, span=elsewhere, allow_empty=True)
    assert undated(world) == []


@pytest.mark.slow
def test_rows_without_a_time_go_where_the_source_has_others(world: World) -> None:
    add_undated(world)
    score(world)
    DeltaTable.forPath(world.spark, world.table("flights")).delete("id in ('no_time', 'too_late')")
    score(world)

    assert (undated(world), len(world.output("batch"))) == ([], 60)


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


def interrupted(world: World, *, recorded: bool = True) -> None:
    """A run that ends behind its first commit, written down or not."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patched:
        if not recorded:
            patched.setattr(runs, "record", die)
        batch.score(world.spark, world.job, span=SPAN, clock=NOW, progress=die)


def test_an_interrupted_run_goes_on_with_its_own_plan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    score(world)
    expected = world.output("batch")
    interrupted(world)
    DeltaTable.forPath(world.spark, world.table("planes")).update(set={"seats": "1"})
    # no change of its rows
    delta_upkeep.set_property(world.spark, str(world.job.output.batch), "note", "seen")
    told: list[Plan] = []
    keeps_less = replace(world.job, output=replace(world.job.output, keep=("input",)))
    done = score(replace(world, job=keeps_less), resume=True, progress=told.append)

    assert [plan.tables["planes"] for plan in done.plans] == [0, 0]
    assert world.output("batch") == expected and tuple(told) == done.plans
    assert delta.current_version(world.spark, str(world.job.output.batch)) == 4


def test_a_run_is_resumed_by_its_own_job_and_for_its_own_output_alone(world: World) -> None:
    interrupted(world)
    (record,) = Path(world.job.state, "runs").glob("*.json")
    moved = replace(world.job, output=replace(world.job.output, batch=world.table("moved")))
    for job in (moved, replace(moved, name="other")):
        with pytest.raises(RunError, match="no unfinished run of 2013-09-01"):
            score(replace(world, job=job), resume=True)
    record.with_name(f".{record.name}.crc").unlink()
    # earlier versions wrote down no output, and the job in the plan alone
    record.write_text(
        json.dumps({key: value for key, value in json.loads(record.read_text()).items() if key != "output"})
    )
    with pytest.raises(RunError, match="no unfinished run of 2013-09-01"):
        score(replace(world, job=replace(moved, name="other")), resume=True)
    assert not Path(world.table("moved")).exists() and score(world, resume=True).counts.rows == 60


def test_a_resumed_run_says_which_version_is_gone(world: World) -> None:
    interrupted(world)
    world.outdate("planes")
    with pytest.raises(RunError, match="planes: version 0 cannot be read any more"):
        score(world, resume=True)


def test_a_resumed_run_reads_no_rows_of_a_table_that_was_made_anew(world: World) -> None:
    interrupted(world)
    source = world.table("flights")
    rows = world.spark.read.format("delta").load(source).localCheckpoint()
    shutil.rmtree(source)
    rows.withColumn("miles", F.col("miles") + 1).write.format("delta").save(source)
    with pytest.raises(RunError, match="flights: the table was made anew: its version 0"):
        score(world, resume=True)


def test_a_resumed_run_reads_no_rows_of_another_place(world: World) -> None:
    read = world.spark.read.format("delta").load(world.table("flights"))
    read.write.parquet(world.table("first"))
    places = [
        Source(format=kind, location=world.table(name))
        for kind, name in (("parquet", "first"), ("parquet", "second"), ("orc", "first"), ("delta", "flights"))
    ]
    first, *others = [replace(world, job=replace(world.job, batch=place)) for place in places]
    interrupted(first)
    for other in others:
        with pytest.raises(RunError, match=r"rows\.batch is not the source that the run .* began with"):
            score(other, resume=True)
    # two runs of one clock are in no order
    shutil.rmtree(world.job.state)
    interrupted(others[-1])
    with pytest.raises(RunError, match=r"rows\.batch is not the source"):
        score(first, resume=True)


@pytest.mark.parametrize("keep", [0, slow(100)])
def test_a_damaged_record_of_a_run_is_left_out_and_named(
    world: World, caplog: pytest.LogCaptureFixture, keep: int
) -> None:
    interrupted(world)
    (record,) = Path(world.job.state, "runs").glob("*.json")
    record.write_text(record.read_text()[:keep])
    with pytest.raises(RunError, match=rf"{record.name}: this record of a run is damaged.* without --resume"):
        score(world, resume=True)
    record.rename(record.with_name("99999999T000000-00000000.json"))
    interrupted(world)
    caplog.clear()
    done = score(world, resume=True)

    assert (done.counts.rows, len(world.output("batch"))) == (60, 60)
    assert [text.split("/")[-1].split(":")[0] for text in caplog.messages] == ["99999999T000000-00000000.json"]


def test_a_resumed_run_makes_again_what_the_output_has_lost(world: World) -> None:
    score(world)
    expected = world.output("batch")
    interrupted(world)
    assert world.job.output.batch is not None
    shutil.rmtree(world.job.output.batch)
    score(world, resume=True)
    assert world.output("batch") == expected


@pytest.mark.parametrize("restored", [True, slow(False)])
def test_a_resumed_run_makes_again_what_was_changed_since_without_a_plan(world: World, restored: bool) -> None:
    score(world, clock=NOW - timedelta(days=1))
    table = DeltaTable.forPath(world.spark, str(world.job.output.batch))
    interrupted(world)
    if restored:
        table.restoreToVersion(1)
    else:
        table.delete("event_date = '2013-09-01' and hour(event_time) < 12")
    done = score(world, resume=True)

    rows = table.toDF().groupBy("scored_at").count().collect()
    assert (done.counts.rows, [(row["scored_at"].astimezone(UTC), row["count"]) for row in rows]) == (60, [(NOW, 60)])


@pytest.mark.parametrize("recorded", [True, slow(False)])
def test_a_resumed_run_mixes_nothing_into_what_a_newer_one_wrote(world: World, recorded: bool) -> None:
    interrupted(world, recorded=recorded)
    DeltaTable.forPath(world.spark, world.table("planes")).update(set={"seats": "1"})
    score(world, clock=LATER, span=replace(SPAN, cut=timedelta(days=2)))
    expected = world.output("batch")

    with pytest.raises(RunError, match="another run has written there since"):
        score(world, resume=True)
    assert world.output("batch") == expected


@pytest.mark.slow
def test_a_resumed_run_leaves_a_newer_run_of_another_interval_alone(world: World) -> None:
    interrupted(world)
    add_undated(world)
    third = Span(start=SPAN.end, end=SPAN.end + timedelta(days=1), cut=timedelta(days=1))
    score(world, clock=LATER, span=third)
    done = score(world, resume=True)

    assert (done.counts.rows, len(world.output("batch")), undated(world)) == (60, 62, UNDATED)


def test_a_table_of_another_job_is_left_alone(world: World) -> None:
    score(world)
    expected = world.output("batch")
    interrupted(world)
    other = replace(world, job=replace(world.job, name="other"))
    streamed = replace(other.job.output, batch=None, stream=world.job.output.batch)
    for attempt in (
        lambda: score(other),
        lambda: score(other, resume=True),
        lambda: check.check(world.spark, replace(other.job, batch=None, output=streamed)),
    ):
        with pytest.raises(
            RunError, match=f"scores: holds the output of job '{world.job.name}', and this is job 'other'"
        ):
            attempt()
    score(replace(world, job=replace(world.job, path="moved/job.yaml")))
    assert world.output("batch") == expected


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
    assert found == [world.job.name, world.job.name, None]


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
