"""Every acknowledged record is in the output once, whatever is killed at whatever instant."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spark_scoring.run import faults
from tests.faults import oracle
from tests.faults.arena import BROKEN, Arena, kill_group
from tests.marks import slow

INSTANTS = ("after_feeds", "before_commit", "after_commit")


@pytest.fixture
def filled(arena: Arena) -> Arena:
    arena.feed(10)
    arena.send(0, 50, broken=BROKEN)
    return arena


@pytest.mark.parametrize("instants", [("after_commit",), slow(INSTANTS)])
def test_kill_9_of_the_driver_at_each_instant(filled: Arena, instants: tuple[str, ...]) -> None:
    for instant in instants:
        filled.finished("stream", "--once", code=-9, failpoint=f"{instant}:kill")
    filled.finished("stream", "--once")

    assert not filled.damage() and (filled.fed_rows(), filled.fed_rejected()) == (filled.fed, 1)
    assert filled.holds()


@pytest.mark.slow
def test_kill_9_between_the_file_of_a_commit_and_its_answer(filled: Arena) -> None:
    process = filled.start("stream", "--once")
    first = Path(filled.output, "_delta_log", f"{0:020d}.json")
    wait_for(lambda: first.exists() or process.poll() is not None)
    kill_group(process)
    assert 0 < len(oracle.rows_of(filled.output)) < 54
    filled.finished("stream", "--once")

    assert not filled.damage() and filled.fed_rows() == filled.fed
    assert filled.holds()


@pytest.mark.slow
@pytest.mark.parametrize("which", [1, 2])
@pytest.mark.parametrize("instant", INSTANTS)
def test_kill_9_of_all_processes(filled: Arena, instant: str, which: int) -> None:
    filled.finished("stream", "--once", code=-9, failpoint=f"{instant}:kill:{which}")
    filled.finished("stream", "--once")

    assert not filled.damage() and (filled.fed_rows(), filled.fed_rejected()) == (filled.fed, 1)
    assert filled.holds()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("without", "doubled"), [("feed_txn", False), ("feed_ends", False), ("feed_txn,feed_ends", True)]
)
def test_two_guards_keep_a_feed_from_being_appended_twice(
    filled: Arena, monkeypatch: pytest.MonkeyPatch, without: str, doubled: bool
) -> None:
    filled.struck(monkeypatch, "after_feeds")
    monkeypatch.setenv(faults.WITHOUT, without)
    filled.run()

    # the first micro-batch holds some of the feed's records
    assert (filled.fed_rows() > filled.fed) == doubled
    assert filled.holds() is not doubled


@pytest.mark.parametrize(
    ("without", "doubled"), [slow("", False), slow("ledger", False), slow("txn", False), ("ledger,txn", True)]
)
def test_two_guards_keep_a_commit_from_being_made_twice(
    filled: Arena, monkeypatch: pytest.MonkeyPatch, without: str, doubled: bool
) -> None:
    filled.struck(monkeypatch, "after_commit")
    monkeypatch.setenv(faults.WITHOUT, without)
    filled.run()

    assert bool(filled.damage().doubled) == doubled
    assert filled.holds() is not doubled


def wait_for(condition: Callable[[], object], *, timeout_s: float = 240) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain"
        time.sleep(0.002)
