"""A lost, restored, edited or foreign checkpoint stops the stream before its first row; `recover` goes on."""

import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from spark_scoring.errors import RunError, StateError
from spark_scoring.io import delta, delta_upkeep
from spark_scoring.run import faults
from spark_scoring.testing import Record, produce
from spark_scoring.watch import parity, status, verify
from tests.faults import oracle
from tests.faults.arena import Arena, expire, files_in, make_arena
from tests.marks import slow
from tests.world import arrivals, flights, record, write_tables

Harm = Callable[[Path], None]


def lost(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint)


def restored(checkpoint: Path) -> None:
    """As a backup of an hour ago: the newest micro-batch is not in it."""
    newest = max(int(path.name) for path in (checkpoint / "offsets").iterdir() if path.name.isdigit())
    for folder in ("offsets", "commits"):
        for path in (checkpoint / folder).glob(f"*{newest}*"):
            path.unlink()


def edited(checkpoint: Path) -> None:
    """One partition of the newest micro-batch ends two records earlier than it did."""
    newest = max(
        (path for path in (checkpoint / "offsets").iterdir() if path.name.isdigit()), key=lambda p: int(p.name)
    )
    lines = newest.read_text().splitlines()
    offsets = json.loads(lines[-1])
    topic = next(name for name in offsets if name.endswith("_flights"))
    offsets[topic] = {p: max(0, end - 2) for p, end in offsets[topic].items()}
    newest.write_text("\n".join([*lines[:-1], json.dumps(offsets)]))
    (checkpoint / "offsets" / f".{newest.name}.crc").unlink()


def foreign(checkpoint: Path) -> None:
    (checkpoint / "metadata").write_text('{"id":"3d7a4bc3-6ba4-4a35-9a24-5d9f0e3bc0c5"}')
    (checkpoint / ".metadata.crc").unlink()


def of_another_time(checkpoint: Path) -> None:
    """Of another query, which has read less."""
    restored(checkpoint)
    foreign(checkpoint)


def damaged(checkpoint: Path) -> None:
    (checkpoint / "metadata").write_text("")
    (checkpoint / ".metadata.crc").unlink(missing_ok=True)


def newest_emptied(checkpoint: Path) -> None:
    """As after a power cut."""
    cut(checkpoint / "offsets", keep=0)


def newest_cut_short(checkpoint: Path) -> None:
    cut(checkpoint / "commits", keep=0.5)


def cut(folder: Path, *, keep: float) -> None:
    newest = max((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    text = newest.read_text()
    newest.write_text(text[: int(len(text) * keep)])


@pytest.fixture
def half(arena: Arena) -> Arena:
    """A stream that has made two commits, and has more to read."""
    arena.feed(6)
    arena.send(0, 30)
    arena.run()
    arena.send(30, 50)
    return arena


@pytest.mark.parametrize(
    "harm",
    [
        slow(lost), restored, slow(edited), slow(foreign), slow(of_another_time), slow(damaged), slow(newest_emptied),
        slow(newest_cut_short),
    ],
)  # fmt: skip
def test_it_stops_and_the_command_that_it_prints_goes_on(half: Arena, harm: Harm) -> None:
    before = oracle.rows_of(half.output)
    harm(Path(half.job.state, "checkpoint"))
    with pytest.raises(StateError) as refused:
        half.run()
    assert f"spark-scoring recover {half.job_path}" in str(refused.value)
    assert len(oracle.rows_of(half.output)) == len(before)
    half.recover()
    half.run()

    assert not half.damage() and half.fed_rows() == half.fed
    assert half.holds()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "without", "doubled"),
    [
        (lost, "checkpoint", False),
        (of_another_time, "checkpoint,ledger", True),
        (restored, "ledger", False),
        (restored, "ledger,txn", True),
    ],
)
def test_without_all_protections_there_is_damage(
    half: Arena, monkeypatch: pytest.MonkeyPatch, harm: Harm, without: str, doubled: bool
) -> None:
    harm(Path(half.job.state, "checkpoint"))
    monkeypatch.setenv(faults.WITHOUT, without)
    with suppress(RunError):
        half.run()

    assert bool(half.damage().doubled) == doubled


@pytest.mark.slow
@pytest.mark.parametrize("without", ["", "feed_ends"])
def test_what_a_feed_has_read_already_is_not_read_again_after_recover(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    arena.send(0, 10)
    arena.run()
    arena.feed(6)
    arena.send(10, 20)
    arena.struck(monkeypatch, "after_feeds")
    monkeypatch.setenv(faults.WITHOUT, without)
    arena.recover()
    arena.run()
    arena.feed(3)
    arena.run()

    assert not arena.damage()
    assert (arena.fed_rows() == arena.fed, arena.holds()) == (not without, not without)


@pytest.mark.slow
@pytest.mark.parametrize("instant", ["recover_begun", "recover_fenced", "recover_feeds_fenced", "recover_moved"])
def test_a_recover_that_is_ended_half_way_is_run_again(
    half: Arena, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    lost(Path(half.job.state, "checkpoint"))
    with monkeypatch.context() as patched:
        patched.setenv(faults.FAILPOINT, f"{instant}:raise")
        with pytest.raises(faults.Struck):
            half.recover()
    with pytest.raises(StateError, match="spark-scoring recover"):
        half.run()
    half.recover()
    half.run()

    assert not half.damage() and half.fed_rows() == half.fed
    assert half.holds()


@pytest.mark.parametrize("older", [False, slow(True)])
def test_a_fed_table_whose_place_another_has_taken_stops_the_stream(half: Arena, older: bool) -> None:
    table, before = Path(half.world.table("arrivals")), oracle.metadata_of(half.output)
    with_fed = half.world.spark.read.format("delta").load(str(table)).localCheckpoint()
    shutil.rmtree(table)
    if older:
        write_tables(half.world.spark, half.world.folder / "older")
        shutil.move(half.world.folder / "older" / "arrivals", table)
    else:
        with_fed.write.format("delta").save(str(table))
    half.feed(3)
    for go_on in (half.run, half.recover):
        with pytest.raises(StateError, match=r"(?s)arrivals.*spark-scoring recover .* --accept-loss"):
            go_on()
    assert oracle.metadata_of(half.output) == before and delta.current_version(half.world.spark, str(table)) == 0
    half.recover(loss=True, reason="made anew")
    half.run()

    rows = len(oracle.rows_of(table))
    assert not half.damage() and rows == len(arrivals()) + 3 + (0 if older else 6)


def test_scores_are_made_again_on_the_real_time_lane_alone(arena: Arena) -> None:
    with pytest.raises(RunError, match="no commit of job"):
        arena.recover(again=True)


@pytest.fixture
def another(half: Arena, tmp_path: Path) -> Arena:
    """Another job, whose state is the same folder."""
    (tmp_path / "another").mkdir()
    made = make_arena(half.world.spark, tmp_path / "another", half.broker, state=half.job.state)
    made.send(0, 20)
    return made


@pytest.mark.parametrize("said", [True, slow(False)])
def test_the_state_of_another_job_is_left_alone(half: Arena, another: Arena, said: bool) -> None:
    owner = Path(half.job.state, "owner.json")
    if not said:
        # as a version that wrote none left it
        owner.unlink()
        (owner.parent / ".owner.json.crc").unlink()
    before = contents(half.job.state)
    for go_on in (another.run, another.recover):
        with pytest.raises(StateError, match="'state' of its own"):
            go_on()
    assert contents(half.job.state) == before
    half.run()

    assert not half.damage() and half.holds()
    assert json.loads(owner.read_text()) == {"job": half.job.name, "output": f"file://{half.output}"}


@pytest.mark.slow
def test_without_the_protection_the_state_is_damaged(
    half: Arena, another: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, suppress(Exception):
        patched.setenv(faults.WITHOUT, "owner")
        another.run()
    with pytest.raises(Exception, match=r"(?s)."):
        half.run()


def contents(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in files_in(folder)}


@pytest.mark.slow
def test_recover_twice_and_of_a_whole_stream_changes_nothing(half: Arena) -> None:
    half.recover()
    half.recover()
    half.run()

    assert not half.damage() and half.holds()


@pytest.mark.slow
@pytest.mark.parametrize("forgotten", [False, True])
def test_a_log_that_has_expired_is_replaced_by_the_rows_own_offsets(half: Arena, forgotten: bool) -> None:
    if forgotten:
        # Delta forgets the transaction ids too, and with the checkpoint nothing is left but the rows
        delta_upkeep.set_property(
            half.world.spark, half.output, "delta.setTransactionRetentionDuration", "interval 1 seconds"
        )
        time.sleep(1)
        lost(Path(half.job.state, "checkpoint"))
    expire(half.world.spark, half.output)
    assert bool(delta.transactions(half.world.spark, half.output, prefix=half.job.name)) != forgotten
    with pytest.raises(StateError, match="log no longer says"):
        half.run()
    assert watched(half) == (30, True, None)
    half.recover()
    assert watched(half) == (30, False, 20)
    half.run()
    found = keys(half.world.spark.read.format("delta").load(half.output))

    assert found == sorted(sent.at for sent in half.sent)
    assert half.holds()


@pytest.mark.slow
@pytest.mark.parametrize("harm", [None, damaged, lost])
def test_what_was_never_to_be_scored_is_not_when_the_log_has_expired(
    arenas: Callable[..., Arena], harm: Harm | None
) -> None:
    """A stream began at the end of its topic, and one partition got records since."""
    arena = arenas(kafka={"start": "latest"})
    arena.send(0, 20)
    arena.run()
    late = [record(row) for row in flights(24)[20:]]
    produce(arena.broker.servers, arena.rows_topic, [Record(key=None, value=value, partition=0) for value in late])
    arena.run()
    expire(arena.world.spark, arena.output)
    if harm is not None:
        harm(Path(arena.job.state, "checkpoint"))
    if harm is lost:
        with pytest.raises(StateError, match=r"flights\[1\] are gone or were not read.*--accept-loss"):
            arena.recover()
    arena.recover(**({"loss": True, "reason": "they were left out"} if harm is lost else {}))
    arena.run()

    rows = arena.world.spark.read.format("delta").load(arena.output)
    assert sorted(row["id"] for row in rows.collect()) == ["f020", "f021", "f022", "f023"]


def watched(arena: Arena) -> tuple[int, bool, int | None]:
    """What `status` says of rows whose commits are gone: their number, whether to recover, what waits."""
    spark, job = arena.world.spark, arena.job
    with pytest.raises(RunError, match="no longer says what they were scored with"):
        parity.commits_of(spark, job, last=None)
    verdict, found = verify.verify(spark, job)["stream"], status.status(spark, job)
    assert (verdict.holds, verdict.commits, sum(part.rows for part in verdict.partitions)) == (True, 0, 30)
    assert found.stream is not None and (found.stream.commits, found.stream.newest) == (0, None)
    advice = str(found.stream.note).split()
    return found.stream.scored + found.stream.rejected, "recover" in advice, found.waiting


def keys(frame: Any) -> list[tuple[str, int, int]]:
    rows = frame.select("source.topic", "source.partition", "source.offset").collect()
    return sorted((row["topic"], row["partition"], row["offset"]) for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("instant", ["recover_begun", "recover_fenced", "recover_feeds_fenced", "recover_moved"])
def test_kill_9_inside_recover(half: Arena, instant: str) -> None:
    lost(Path(half.job.state, "checkpoint"))
    half.finished("recover", code=-9, failpoint=f"{instant}:kill")
    half.finished("recover")
    half.finished("stream", "--once")

    assert not half.damage() and half.fed_rows() == half.fed
    assert half.holds()
