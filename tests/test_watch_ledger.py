"""What verify says of a log alone: histories that are whole, and logs that lack their beginning."""

from datetime import UTC, datetime

import pytest

from spark_scoring.run.takeover import Takeover
from spark_scoring.spec.plan import Offsets, Plan
from spark_scoring.watch import feed_check, ledger_check


def plan(name: str) -> Plan:
    given = Offsets(ranges={}, topic_ids={})
    return Plan(commit_id=f"job/{name}", clock=datetime(2026, 1, 1, tzinfo=UTC), input=given, tables={}, models=())


def takeover(generation: str) -> Takeover:
    return Takeover(job="job", generation=generation, ends={}, topic_ids={}, by="", at="")


@pytest.mark.parametrize(
    ("commits", "taken", "broken"),
    [
        (["a/0", "a/1", "b/0", "b/1"], [], []),
        (["a/0.0", "a/0", "a/1.0"], [], []),
        (["a/0", "b/3"], ["b"], []),
        (["a/2", "a/3"], [], ["job/a/2"]),
        (["b/0", "a/12"], ["c"], ["job/a/12"]),
    ],
)
def test_a_generation_begins_with_its_first_commit_or_a_takeover(
    commits: list[str], taken: list[str], broken: list[str]
) -> None:
    found = ledger_check.made_anew([plan(name) for name in commits], dict(enumerate(map(takeover, taken))))
    assert [text.split(":")[0] for text in found] == broken


@pytest.mark.parametrize(
    ("read", "appended", "since_ever", "missing"),
    [
        ([(7, 9), (9, 9), (9, 12)], [(7, 9), (9, 12)], True, []),  # `kafka.start: latest`
        ([(0, 5), (5, 9)], [(0, 9), (9, 11)], True, []),  # a generation before had read more than it committed
        ([(0, 5), (8, 9)], [(0, 5), (8, 9)], True, []),  # a loss that was accepted
        ([(0, 5), (5, 9)], [(5, 9)], False, []),
        ([(0, 5)], [], False, []),
        ([(0, 5), (5, 9)], [(5, 9)], True, [(0, 0, 5)]),
        ([(0, 5), (5, 9)], [(0, 5)], False, [(0, 5, 9)]),
        ([(0, 5)], [], True, [(0, 0, 5)]),
        ([(4, 4)], [], True, []),
    ],
)
def test_what_commits_have_read_of_a_feed_is_appended(
    read: list[tuple[int, int]],
    appended: list[tuple[int, int]],
    since_ever: bool,
    missing: list[tuple[int, int, int]],
) -> None:
    appends = [feed_check._Append(commit_id="", topic_id="", spans={0: span}, rows=0) for span in appended]
    assert feed_check._missing({0: read}, appends, since_ever=since_ever) == missing
