"""Two streams of one job never both commit: the second is refused, or the first is fenced, and cannot wake up."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from spark_scoring.errors import RunError, StateError
from spark_scoring.io import files
from spark_scoring.run import faults, lease, once, stream
from spark_scoring.spec.job import Job
from tests.faults.arena import BROKEN, Arena, kill_group, now
from tests.faults.test_killed import wait_for


@pytest.fixture
def stopped(arena: Arena, request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[bytes]"]:
    """A stream that sleeps with its commit in hand, after one that it has made."""
    arena.feed(6)
    arena.send(0, 40, broken=BROKEN)
    without = getattr(request, "param", "")
    process = arena.start("stream", "--once", failpoint="before_commit:pause:2", without=without)
    wait_for(lambda: asleep(process.pid) or process.poll() is not None)
    assert process.poll() is None, arena.log("log").read_text()
    yield process
    kill_group(process)


SECOND = timedelta(seconds=1)


def asleep(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def woken(process: "subprocess.Popen[bytes]") -> int:
    """How it ends when it is let go on."""
    os.kill(process.pid, signal.SIGCONT)
    return process.wait(120)


@pytest.mark.slow
def test_a_stale_driver_that_was_replaced_cannot_commit(arena: Arena, stopped: "subprocess.Popen[bytes]") -> None:
    arena.recover()
    arena.run()

    assert woken(stopped) == 1
    assert "this stream was replaced" in arena.log("log").read_text()
    assert not arena.damage() and arena.fed_rows() == arena.fed
    assert arena.holds()


@pytest.mark.slow
@pytest.mark.parametrize("stopped", ["fence"], indirect=True)
def test_without_the_fence_it_commits(
    arena: Arena, stopped: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(faults.WITHOUT, "fence")
    arena.recover()
    arena.run()
    woken(stopped)

    assert arena.damage().doubled
    assert not arena.holds()


@pytest.mark.slow
@pytest.mark.parametrize(("stopped", "doubled"), [("", False), ("txn", True)], indirect=["stopped"])
def test_a_stale_driver_of_the_same_generation_cannot_commit(
    arena: Arena, stopped: "subprocess.Popen[bytes]", doubled: bool
) -> None:
    arena.run()

    assert woken(stopped) == 1
    assert bool(arena.damage().doubled) == doubled
    assert arena.holds() is not doubled


@pytest.mark.slow
def test_the_second_process_is_refused(arenas: Callable[..., Arena]) -> None:
    # by itself a stream ends when its backlog is worked off
    arena = arenas(trigger={"every": "1s"})
    arena.send(0, 20)
    first = arena.start("stream", log="first")
    wait_for(lambda: " scored, " in arena.log("first").read_text())
    began = time.monotonic()
    said = arena.finished("stream", "--once", code=1, log="second")
    took_s = time.monotonic() - began
    kill_group(first)

    assert "a stream of this job runs already (process" in said and took_s < 60
    arena.send(20, 40)
    arena.finished("stream", "--once", log="third")
    assert not arena.damage()


def test_the_second_is_refused_and_the_first_goes_on(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    with lease.held(arena.world.spark, arena.job):
        with pytest.raises(RunError, match="runs already \\(process"):
            arena.run()
        with pytest.raises(RunError, match="runs already"):
            arena.run()
        monkeypatch.setenv(faults.WITHOUT, "lease")
        arena.send(0, 5)
        arena.run()
    assert not arena.damage()


def test_a_holder_that_was_killed_is_gone_at_once(arena: Arena) -> None:
    gone = subprocess.Popen(["sleep", "0"])
    gone.wait()
    write_lease(arena, replace(lease._own(), pid=gone.pid, born="1"))
    arena.send(0, 5)
    arena.run()

    assert not arena.damage()


@pytest.mark.slow
def test_a_holder_elsewhere_is_gone_after_silence_alone(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "SILENT_S", 1.0)
    elsewhere = replace(lease._own(), machine="another", host="another")
    write_lease(arena, elsewhere)
    waited: list[float] = []

    def beating(seconds: float) -> None:
        waited.append(seconds)
        write_lease(arena, elsewhere, beats=len(waited))

    with pytest.raises(RunError, match="on another"), lease.held(arena.world.spark, arena.job, wait=beating):
        pass
    with lease.held(arena.world.spark, arena.job) as own:
        assert not own.lost.is_set()


@pytest.mark.slow
def test_a_stream_whose_lease_was_taken_ends(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.2)
    arena.send(0, 5)
    made = threading.Event()
    job, failed = replace(arena.job, trigger=replace(arena.job.trigger, every=SECOND)), []

    def running() -> None:
        try:
            options = {"once": False, "now": now, "stop": threading.Event(), "progress": lambda _: made.set()}
            stream.stream(arena.world.spark, job, **options)
        except RunError as error:
            failed.append(str(error))

    thread = threading.Thread(target=running)
    thread.start()
    assert made.wait(120)
    # a beat that was under way may write over it once
    until = time.monotonic() + 60
    while thread.is_alive() and time.monotonic() < until:
        write_lease(arena, replace(lease._own(), token="other"))
        thread.join(1)

    assert ["runs already" in text for text in failed] == [True]


@pytest.mark.slow
def test_of_two_first_streams_one_makes_the_table(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both begin before there is a table, each with a state of its own."""
    arena.send(0, 20)
    other = replace(arena.job, state=f"{arena.job.state}_other")
    began = micro_batch_of_another(arena, other, monkeypatch)
    with pytest.raises(StateError, match="was replaced"):
        arena.run()

    assert began and not arena.damage()


def micro_batch_of_another(arena: Arena, other: Job, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The other stream makes its commits while the first has its own in hand."""
    began: list[int] = []
    real = once.reached

    def reached(name: str) -> None:
        real(name)
        if name == "before_commit" and not began:
            began.append(1)
            options = {"once": True, "now": now, "stop": threading.Event()}
            thread = threading.Thread(
                target=stream.stream, args=(arena.world.spark.newSession(), other), kwargs=options
            )
            thread.start()
            thread.join(180)

    monkeypatch.setattr(once, "reached", reached)
    return began


def write_lease(arena: Arena, holder: lease.Holder, *, beats: int = 0) -> None:
    files.write_text(arena.world.spark, f"{arena.job.state}/stream.lease", lease._text(holder, beats))
