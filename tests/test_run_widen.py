"""Training sets over real Delta tables: the same rows as transform, in any cut, resumed or refused."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from spark_scoring import Job, WideTable
from spark_scoring.cli import main
from spark_scoring.errors import ConfigError, RunError
from spark_scoring.run import batch
from spark_scoring.run.runs import Span
from spark_scoring.spec.job import Source
from tests.training_sets import (
    ACTUALS,
    FULL,
    NOW,
    SMALL,
    SPAN,
    landing,
    made,
    plans,
    rows_of,
    whole,
    world_with,
    write_truth,
)
from tests.world import DAY, WIDE, job_mapping


def test_a_training_set_is_transform_of_the_whole_and_every_commit_carries_its_plan(
    spark: SparkSession, tmp_path: Path
) -> None:
    world = world_with(spark, tmp_path)
    seen: list[int] = []
    done = made(world, wide=FULL, progress=lambda piece: seen.append(piece.counts.rows))

    expected = whole(world, FULL)
    assert rows_of(world) == expected
    assert (done.read, done.rows, done.rejected) == (60, len(expected), (("RULE:known_origin", 4),))
    assert (done.commits, sum(seen), done.immature, done.without_actual) == (3, done.rows, 0, ())
    assert [plan.commit_id for plan in plans(world)] == [
        f"{world.job.name}/widen/2013-09-0{interval}"
        for interval in (
            "1T00:00:00Z..2013-09-01T12:00:00Z", "1T12:00:00Z..2013-09-02T06:00:00Z",
            "2T06:00:00Z..2013-09-03T00:00:00Z",
        )
    ]  # fmt: skip
    assert plans(world)[0].tables == {"planes": 0, "weather": 0, "arrivals": 0}


@pytest.mark.slow
def test_again_changes_nothing_and_an_interval_leaves_the_others_alone(spark: SparkSession, tmp_path: Path) -> None:
    world = world_with(spark, tmp_path)
    made(world)
    made(world, span=Span(start=DAY + timedelta(hours=3), end=DAY + timedelta(hours=9), cut=timedelta(hours=2)))
    long = Span(start=DAY - timedelta(days=3), end=DAY + timedelta(days=6), cut=timedelta(days=3))
    done = made(world, span=long)

    # the intervals before and after the rows have none, and no commit
    assert (rows_of(world), done.read, done.commits, len(plans(world))) == (whole(world), 60, 4, 3 + 4 + 1)


def test_what_was_killed_goes_on_with_its_own_plan(spark: SparkSession, tmp_path: Path) -> None:
    truth = [landing(i, hours=2, minutes=float(i)) for i in range(60)]
    world = world_with(spark, tmp_path, truth)
    expected = made(world, "delay", out="expected")

    def die(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(world, "delay", progress=die)
    DeltaTable.forPath(spark, world.table("planes")).update(set={"seats": "1"})
    write_truth(spark, tmp_path, [])
    for other in ({"out": "other"}, {"span": replace(SPAN, end=DAY + timedelta(days=1))}):
        with pytest.raises(RunError, match=r"no unfinished run of 2013-09-01T00:00:00Z\.\.2013-09-0"):
            made(world, "delay", resume=True, **other)
    with pytest.raises(RunError, match="no unfinished run"):
        made(world, "delay", resume=True, wide=FULL)
    with pytest.raises(RunError, match="no unfinished run"):
        made(world, "once", resume=True)
    with pytest.raises(RunError, match="no unfinished run"):
        made(replace(world, job=replace(world.job, name="other")), "delay", resume=True)
    early = DAY + timedelta(hours=1)
    seen: list[int] = []
    resumed = {"wide": None, "clock": early, "progress": lambda piece: seen.append(piece.counts.rows)}
    done = made(world, "delay", resume=True, **resumed)

    assert replace(done, run_id="", path="") == replace(expected, run_id="", path="")
    assert rows_of(world) == rows_of(world, "expected") and (len(seen), sum(seen)) == (3, done.rows)
    assert {plan.clock for plan in plans(world)} == {NOW} and len(plans(world)) == 3
    with pytest.raises(RunError, match="no unfinished run"):
        made(world, "delay", resume=True)
    with pytest.raises(RunError, match="no unfinished run"):
        batch.score(spark, world.job, span=SPAN, clock=NOW, resume=True)


@pytest.mark.slow
def test_a_resumed_run_makes_again_what_was_lost_and_mixes_nothing(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_with(spark, tmp_path)
    made(world, out="expected")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    def interrupted(out: str) -> None:
        with pytest.raises(KeyboardInterrupt):
            made(world, out=out, progress=die)

    interrupted("lost")
    shutil.rmtree(world.table("lost"))
    made(world, out="lost", resume=True)
    assert rows_of(world, "lost") == rows_of(world, "expected")

    interrupted("deleted")
    DeltaTable.forPath(spark, world.table("deleted")).delete("hour(at) = 3")
    made(world, out="deleted", resume=True)
    assert rows_of(world, "deleted") == rows_of(world, "expected")

    interrupted("again")
    with monkeypatch.context() as patched:
        patched.setattr("spark_scoring.run.widen.insisting", die)
        with pytest.raises(KeyboardInterrupt):
            made(world, out="unbegun")
    DeltaTable.forPath(spark, world.table("planes")).update(set={"seats": "1"})
    for out in ("again", "unbegun"):
        made(world, out=out, clock=NOW + timedelta(hours=1), span=replace(SPAN, cut=timedelta(days=30)))
        with pytest.raises(RunError, match="another run has written there"):
            made(world, out=out, resume=True)


def test_what_another_job_wrote_to_or_the_rows_have_left_is_not_resumed(spark: SparkSession, tmp_path: Path) -> None:
    world = world_with(spark, tmp_path)
    other = replace(world, job=replace(world.job, name="other"))
    files = Source(format="parquet", location=str(tmp_path / "files"))
    spark.read.format("delta").load(world.table("flights")).write.parquet(files.location)
    elsewhere = replace(world, job=replace(world.job, batch=files))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(world, progress=die)
    with pytest.raises(RunError, match=r"rows\.batch is not the source"):
        made(elsewhere, resume=True)
    made(other, span=replace(SPAN, cut=timedelta(days=30)))
    with pytest.raises(RunError, match="another run has written there"):
        made(world, resume=True)


def test_the_champions_wide_table_is_the_default_and_its_version_is_in_the_plan(
    spark: SparkSession, tmp_path: Path
) -> None:
    world = world_with(spark, tmp_path)
    made(world, wide=None, span=replace(SPAN, cut=timedelta(days=9)))
    assert rows_of(world) == whole(world, FULL)
    assert {(pin.role, pin.model, pin.version) for plan in plans(world) for pin in plan.models} == {
        ("champion", "late", "1")
    }


def test_a_place_that_is_taken_is_left_alone(spark: SparkSession, tmp_path: Path) -> None:
    world = world_with(spark, tmp_path)
    for out, place in (("flights", "rows.batch"), ("planes", "tables.planes"), ("scores", "output.batch")):
        with pytest.raises(ConfigError, match=f"{out}: {place} of job.yaml is there"):
            made(world, out=out)
    for out, why in (("scores/x/y", "output.batch of job.yaml is there"), ("free/x", "it lies in the table .*/free")):
        if out == "free/x":
            world.spark.range(1).write.format("delta").save(world.table("free"))
        with pytest.raises(ConfigError, match=f"{out}: {why}"):
            made(world, out=out)
    made(world)
    with pytest.raises(RunError, match=r"holds another training set: once is not there\. All rows of one"):
        made(world, "once")
    bare = WideTable.unpack({**WIDE, "steps": WIDE["steps"][1:2], "rules": {}})
    with pytest.raises(RunError, match="temp is not there, seats is only there"):
        made(world, wide=bare)
    assert rows_of(world) == whole(world)


def test_the_command(spark: SparkSession, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    world = world_with(spark, tmp_path, [landing(0, hours=1)])
    mapping = job_mapping(tmp_path, name="late", servers="127.0.0.1:1")
    mapping |= {"registry": world.job.registry, "actuals": {"once": {"delta": world.table("truth"), **ACTUALS["once"]}}}
    (tmp_path / "job.yaml").write_text(json.dumps(mapping))
    assert Job.load(tmp_path / "job.yaml").actuals[0].name == "once"
    words = ["widen", str(tmp_path / "job.yaml"), "--from", "2013-09-01", "--to", "2013-09-03", "--cut", "1d"]
    (tmp_path / "wide.yaml").write_text(SMALL.dump())
    words += ["--wide", str(tmp_path / "wide.yaml"), "--out", world.table("training"), "--with", "once"]
    capfd.readouterr()
    main([*words, "--json"])
    found = json.loads(capfd.readouterr().out)
    assert (found["commits"], found["read"], found["rows"], found["immature"]) == (2, 60, 56, 0)
    assert (found["rejected"], found["without_actual"]) == ([["RULE:known_origin", 4]], [["once", 55]])
    main(words)
    said = capfd.readouterr()
    assert "without actual  once 55" in said.out and "56 rows" in said.err
    with pytest.raises(SystemExit) as ended:
        main([*words[:-1], "onec"])
    assert ended.value.code == 2 and "Did you mean 'once'?" in capfd.readouterr().err
