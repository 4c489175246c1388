"""Rejected rows are scored again after a fix: those that pass replace their rejection, and all accounts balance."""

from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.io import delta, delta_upkeep, delta_write
from spark_scoring.run import faults
from spark_scoring.run import replay as replay_module
from spark_scoring.run.replay import Replayed, replay
from spark_scoring.watch import parity, verify
from tests.faults import oracle
from tests.faults.arena import BROKEN, Arena, now
from tests.world import WIDE, package_model

RULE = "RULE:known_origin"


@pytest.fixture
def rejected(spark: SparkSession, arenas: object) -> Arena:
    """A rule that turned away what another model takes; broken records, which nothing helps."""
    arena: Arena = arenas(own_registry=True)  # type: ignore[operator]
    arena.send(0, 60, broken=BROKEN)
    arena.run()
    return arena


def fixed(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new champion whose rule knows one origin more."""
    monkeypatch.setitem(WIDE, "rules", {"known_origin": "origin in ('EWR', 'JFK', 'LAX')"})
    package_model(arena.world.spark, arena.world.folder)


def replayed(arena: Arena, reason: str = RULE) -> Replayed:
    return replay(arena.world.spark, arena.job, reason=reason, within=(None, None), clock=now())


def test_rows_that_pass_now_replace_their_rejection(rejected: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = replayed(rejected)
    fixed(rejected, monkeypatch)
    done, again = replayed(rejected), replayed(rejected)

    spark, job = rejected.world.spark, rejected.job
    exact = parity.exact(spark, job, parity.commits_of(spark, job, last=None))
    lax = [row for row in oracle.rows_of(rejected.output) if row["id"] and int(row["id"][1:]) % 17 == 3]
    assert (nothing.commit_id, nothing.rows, nothing.still_rejected) == (None, 4, ((RULE, 4),))
    assert (done.rows, done.scored, done.still_rejected, again.rows) == (4, 4, (), 0)
    assert {(row["outcome"], row["model_version"], row["commit_id"]) for row in lax} == {
        ("scored", "2", done.commit_id)
    }
    assert not rejected.damage() and verify.verify_stream(spark, job).holds
    assert (exact.rows, exact.different, exact.not_checkable) == (64, 0, ())


@pytest.mark.slow
def test_a_stream_that_commits_meanwhile_is_no_conflict(rejected: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed(rejected, monkeypatch)
    files_of, before = delta_write._files_of, delta.current_version(rejected.world.spark, rejected.output)

    def and_a_commit(*given: Any, **more: Any) -> list[Any]:
        found = files_of(*given, **more)
        rejected.send(60, 70)
        rejected.run()
        return found

    monkeypatch.setattr(delta_write, "_files_of", and_a_commit)
    done = replayed(rejected)

    assert done.scored == 4 and not rejected.damage() and rejected.holds()
    assert delta.current_version(rejected.world.spark, rejected.output) == before + 2


@pytest.mark.slow
@pytest.mark.parametrize("change_feed", [False, True])
def test_of_two_replays_at_once_each_row_is_by_one(
    rejected: Arena, monkeypatch: pytest.MonkeyPatch, change_feed: bool
) -> None:
    fixed(rejected, monkeypatch)
    if change_feed:
        delta_upkeep.set_property(rejected.world.spark, rejected.output, "delta.enableChangeDataFeed", "true")
    replace, others = replay_module._replace, []

    def after_another(*given: Any, **more: Any) -> None:
        monkeypatch.setattr(replay_module, "_replace", replace)
        others.append(replayed(rejected))
        replace(*given, **more)

    monkeypatch.setattr(replay_module, "_replace", after_another)
    done = replayed(rejected)

    assert ([one.scored for one in others], done.rows, done.scored) == ([4], 0, 0)
    assert not rejected.damage() and rejected.holds()


@pytest.mark.slow
def test_what_still_fails_stays_as_it_was(rejected: Arena) -> None:
    before = oracle.rows_of(rejected.output)
    done = replayed(rejected, "PARSE")

    assert (done.commit_id, done.scored, done.still_rejected) == (None, 0, (("PARSE", 3),))
    assert sorted(map(str, oracle.rows_of(rejected.output))) == sorted(map(str, before))


@pytest.mark.slow
@pytest.mark.parametrize("instant", ["before_replay", "after_replay"])
def test_ended_half_way_it_is_run_again(rejected: Arena, monkeypatch: pytest.MonkeyPatch, instant: str) -> None:
    fixed(rejected, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setenv(faults.FAILPOINT, f"{instant}:raise")
        with pytest.raises(faults.Struck):
            replayed(rejected)
    replayed(rejected)

    assert {row["reason"] for row in oracle.rows_of(rejected.output)} == {None, "PARSE", "SCHEMA"}
    assert not rejected.damage() and rejected.holds()


def test_without_an_output_there_is_nothing_to_replay(arena: Arena) -> None:
    with pytest.raises(RunError, match="no commit of job"):
        replayed(arena)


def test_a_reason_that_no_row_can_have(arena: Arena) -> None:
    with pytest.raises(ConfigError, match=r"unknown code 'SCHEMAX'\. Did you mean 'SCHEMA'\?"):
        replayed(arena, "SCHEMAX")
