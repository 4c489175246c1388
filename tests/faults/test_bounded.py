"""Memory and time are bounded: small micro-batches whatever waits, few files, a log with checkpoints."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_scoring.errors import RunError
from spark_scoring.io import delta_upkeep
from spark_scoring.run import faults, upkeep
from spark_scoring.run.stream import MOST_ROWS
from tests.faults import oracle
from tests.faults.arena import BROKEN, Arena

EVERY = 4


@pytest.mark.slow
def test_a_backlog_is_read_in_parts(arenas: Callable[..., Arena]) -> None:
    arena = arenas(rows_a_batch=7)
    arena.feed(5)
    arena.send(0, 60)
    arena.run()

    counts = [plan["counts"]["in"] for plan in oracle.metadata_of(arena.output)]
    assert sum(counts) == 60 and max(counts) <= 7 and MOST_ROWS == 50_000
    assert not arena.damage()


@pytest.mark.slow
def test_the_output_stays_few_files(arenas: Callable[..., Arena], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "EVERY", EVERY)
    monkeypatch.setattr(upkeep, "CHECKPOINT_EVERY", EVERY)
    arena = arenas(rows_a_batch=5)
    arena.send(0, 60)
    arena.run()

    files = oracle._files(Path(arena.output))
    dates = {row["event_time"].date() for row in oracle.rows_of(arena.output)}
    assert len(oracle.metadata_of(arena.output)) >= 12
    assert len(files) <= len(dates) * (EVERY + 1)
    assert list(Path(arena.output, "_delta_log").glob("*.checkpoint*"))
    assert not arena.damage() and arena.holds()


@pytest.mark.slow
def test_micro_batches_go_on_beside_upkeep(arenas: Callable[..., Arena], monkeypatch: pytest.MonkeyPatch) -> None:
    arena, begun = arenas(rows_a_batch=5), []

    def slow(_: SparkSession, path: str) -> None:
        begun.append(len(oracle.metadata_of(path)))
        until = time.monotonic() + 60
        while len(oracle.metadata_of(path)) < begun[-1] + 3 and time.monotonic() < until:
            time.sleep(0.1)
        begun.append(len(oracle.metadata_of(path)))

    monkeypatch.setattr(upkeep, "EVERY", EVERY)
    monkeypatch.setattr(delta_upkeep, "compact", slow)
    arena.send(0, 60)
    arena.run()

    assert begun[1] >= begun[0] + 3
    assert not arena.damage() and arena.holds()


@pytest.mark.parametrize("without", ["", "brake"])
def test_the_brake_stops_after_the_commit(
    arenas: Callable[..., Arena], monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    arena = arenas(stop_when={"rejected_share": 0.5, "min_rows": 4})
    arena.send(0, 1, broken=[*BROKEN, *BROKEN])
    monkeypatch.setenv(faults.WITHOUT, without)
    if without:
        arena.run()
    else:
        with pytest.raises(RunError, match="rejected, more than"):
            arena.run()
    assert not arena.damage()
