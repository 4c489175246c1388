"""What verify says of a log alone: histories that are whole, and logs that lack their beginning."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_scoring.io import delta
from spark_scoring.run import feeds, ledger
from spark_scoring.run.takeover import Takeover
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Offsets, Plan
from spark_scoring.watch import feed_check, ledger_check
from tests.world import job_mapping


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


OFFSETS = {"t": {"0": [0, 5]}}
APPEND = {"format": 1, "commit_id": "job/a/0", "feed": "arrivals", "offsets": OFFSETS, "topic_id": "x"}


def without(given: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in names}


FOREIGN_APPENDS = [
    {"feed": "arrivals"}, {"feed": "arrivals", "commit_id": "job/a/0"}, ["feed"], {**APPEND, "format": 2},
    *(without(APPEND, name) for name in APPEND),
]  # fmt: skip


@pytest.mark.parametrize("about", FOREIGN_APPENDS)
def test_what_another_writer_says_of_a_feed_is_no_append(about: object) -> None:
    text = json.dumps(about)
    assert (feeds.is_feeds(text), feeds.about_of(text, "arrivals")) == (False, None)


def test_what_a_feed_says_is_an_append_to_its_table() -> None:
    text = json.dumps(APPEND)
    assert (feeds.is_feeds(text), feeds.about_of(text, "arrivals"), feeds.about_of(text, "u")) == (True, APPEND, None)


@pytest.mark.parametrize("name", ["format", *takeover("a").pack()])
def test_what_another_writer_calls_a_takeover_is_none(name: str) -> None:
    given = {"format": 1, "takeover": without(takeover("a").pack(), name)}
    assert Takeover.parse(json.dumps(without(given, name))) is None
    assert Takeover.parse(json.dumps({"format": 1, "takeover": "by the night shift"})) is None
    assert Takeover.parse(takeover("a").dump()) == takeover("a")


def test_a_log_with_commits_of_another_writer_is_read(spark: SparkSession, tmp_path: Path) -> None:
    path, ours = str(tmp_path / "t"), [APPEND, {"format": 1, "takeover": takeover("a").pack()}]
    for about in [*ours, *FOREIGN_APPENDS, {"takeover": "a"}, {"format": 1, "takeover": {"job": "job"}}]:
        spark.range(1).write.format("delta").mode("append").option("userMetadata", json.dumps(about)).save(path)
    log = delta.history(spark, path)
    job = Job.unpack(job_mapping(tmp_path, name="job", servers="127.0.0.1:1"), {}, source="job.yaml")

    assert feed_check._appends(log, "t", job=job) == [
        feed_check._Append(commit_id="job/a/0", topic_id="x", spans={0: (0, 5)}, rows=1)
    ]
    assert ledger.takeovers_in(log, job="job") == {1: takeover("a")}
    assert ledger.standing(spark, path, job="job").generation == "a"
