"""A batch interval is one correct copy: run again, in any order, after a kill, two at once, after a RESTORE."""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from spark_scoring.run import batch, faults
from spark_scoring.run.runs import Span
from spark_scoring.watch import status, verify
from tests.faults import oracle
from tests.faults.arena import Arena, expire, now
from tests.world import DAY, World, make_world

DAYS = [Span(start=DAY + timedelta(days=d), end=DAY + timedelta(days=d + 1), cut=timedelta(days=1)) for d in (0, 1)]
BOTH = Span(start=DAY, end=DAY + timedelta(days=2), cut=timedelta(days=1))
INTERVAL = ("--from", "2013-09-01", "--to", "2013-09-03")


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path) -> World:
    return make_world(spark, tmp_path)


def score(world: World, span: Span = BOTH, **options: bool) -> batch.Result:
    return batch.score(world.spark, world.job, span=span, clock=now(), **options)


def ids(world: World) -> list[str]:
    return sorted(row["id"] for row in oracle.rows_of(str(world.job.output.batch)))


WHOLE = [f"f{i:03d}" for i in range(60)]


@pytest.mark.slow
def test_any_order_and_any_number_of_times(world: World) -> None:
    score(world)
    expected = world.output("batch")
    for span in (DAYS[1], DAYS[0], BOTH, DAYS[0]):
        score(world, span)

    assert world.output("batch") == expected and ids(world) == WHOLE
    assert verify.verify_batch(world.spark, world.job).holds


@pytest.mark.slow
@pytest.mark.parametrize("instant", ["batch_planned", "interval_committed"])
def test_ended_at_an_instant_it_is_run_again_or_resumed(
    world: World, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    for resume in (True, False):
        with monkeypatch.context() as patched:
            patched.setenv(faults.FAILPOINT, f"{instant}:raise")
            faults._times.clear()
            with pytest.raises(faults.Struck):
                score(world)
        score(world, resume=resume)
        assert ids(world) == WHOLE
    assert verify.verify_batch(world.spark, world.job).holds


def test_two_at_once_make_one_copy(world: World) -> None:
    failed: list[Exception] = []

    def run() -> None:
        try:
            score(world)
        except Exception as error:  # noqa: BLE001 - whatever a thread ends with is the finding
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)

    assert not failed and ids(world) == WHOLE
    assert verify.verify_batch(world.spark, world.job).holds


@pytest.mark.slow
def test_a_restore_followed_by_a_run_is_repaired(world: World) -> None:
    score(world, DAYS[0])
    score(world, DAYS[1])
    DeltaTable.forPath(world.spark, str(world.job.output.batch)).restoreToVersion(0)
    assert "RESTORE changed data and carries no plan" in str(verify.verify_batch(world.spark, world.job).broken)
    score(world)

    assert ids(world) == WHOLE
    assert verify.verify_batch(world.spark, world.job).holds


@pytest.mark.slow
def test_a_log_that_has_expired_leaves_the_rows_to_look_at(world: World) -> None:
    score(world)
    expire(world.spark, str(world.job.output.batch))
    verdict, found = verify.verify(world.spark, world.job)["batch"], status.status(world.spark, world.job).batch

    assert (verdict.holds, verdict.commits, found and found.scored + found.rejected) == (True, 0, len(WHOLE))


@pytest.mark.slow
def test_without_the_protection_a_second_run_doubles(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    score(world)
    monkeypatch.setenv(faults.WITHOUT, "replace_where")
    score(world)

    assert ids(world) == sorted([*WHOLE, *WHOLE])


@pytest.mark.slow
@pytest.mark.parametrize("failpoint", ["batch_planned:kill", "interval_committed:kill:1", "interval_committed:kill:2"])
def test_kill_9(arenas: Callable[..., Arena], failpoint: str, request: Any) -> None:
    arena = arenas()
    arena.finished("score", *INTERVAL, code=-9, failpoint=failpoint)
    arena.finished("score", *INTERVAL, "--resume")
    arena.finished("score", *INTERVAL)

    assert ids(arena.world) == WHOLE
    assert verify.verify_batch(arena.world.spark, arena.job).holds


@pytest.mark.slow
def test_two_processes_at_once(arena: Arena) -> None:
    processes = [arena.start("score", *INTERVAL, log=f"log{i}") for i in range(2)]
    assert [process.wait(240) for process in processes] == [0, 0]
    assert ids(arena.world) == WHOLE
