"""A batch run that was interrupted: what goes on with its plan, and what does not."""

import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pyspark.sql.functions as F
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from spark_scoring.errors import RunError
from spark_scoring.io import delta, delta_upkeep
from spark_scoring.run import batch, check, runs, stream
from spark_scoring.run.lane.runner import realtime
from spark_scoring.run.replay import replay
from spark_scoring.run.runs import Span
from spark_scoring.run.takeover import Takeover
from spark_scoring.spec.job import MICRO_BATCH, REALTIME, Source
from spark_scoring.spec.plan import Offsets, Plan, Replay
from tests.batch_runs import LATER, NOW, SPAN, UNDATED, add_undated, score, undated
from tests.lane_world import lane_changes
from tests.marks import slow
from tests.world import World, make_world


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path) -> Iterator[World]:
    yield make_world(spark, tmp_path)


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


def test_a_table_of_the_jobs_stream_is_no_batch_output(world: World) -> None:
    score(world)
    interrupted(world)
    target, name = str(world.job.output.batch), world.job.name
    base = Plan(commit_id=f"{name}/g/1", clock=NOW, input=Replay(reason="PARSE", moved={}), tables={}, models=())
    begun = Takeover(job=name, generation="g", ends={}, topic_ids={}, by="me", at="now")
    only = replace(world.job, stream=None, output=replace(world.job.output, stream=None))
    said = f"scores: holds the stream output of job '{name}', and this is its batch: batch and stream have a table each"
    for made in (base, replace(base, input=Offsets(ranges={"t": {0: (0, 1)}}, topic_ids={})), begun):
        frame = world.spark.read.format("delta").load(target).limit(1)
        frame.write.format("delta").mode("append").option("userMetadata", made.dump()).save(target)
        expected = world.output("batch")
        for attempt in (
            lambda: score(world),
            lambda: score(world, resume=True),
            lambda: check.check(world.spark, only),
        ):
            with pytest.raises(RunError, match=said):
                attempt()
        assert world.output("batch") == expected


def test_a_table_of_the_jobs_batch_is_no_stream_output(spark: SparkSession, tmp_path: Path) -> None:
    made = make_world(spark, tmp_path, **lane_changes(tmp_path))
    score(made)
    expected, target = made.output("batch"), made.job.output.batch
    job = replace(made.job, batch=None, output=replace(made.job.output, batch=None, stream=target))
    given: dict[str, Any] = {"once": True, "now": lambda: NOW, "stop": threading.Event()}
    for attempt in (
        lambda: check.check(spark, job),
        lambda: stream.stream(spark, job.on_lane(MICRO_BATCH), **given),
        lambda: realtime(spark, job.on_lane(REALTIME), **given),
        lambda: replay(spark, job, reason="PARSE", within=(None, None), clock=NOW),
    ):
        with pytest.raises(RunError, match=f"the batch output of job '{job.name}', and this is its stream"):
            attempt()
    assert made.output("batch") == expected and not Path(job.state, "owner.json").exists()
