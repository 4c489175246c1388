"""The real-time lane where its topics or its state are not what they were, and what leads out of it."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from pyspark.sql import SparkSession

from spark_scoring.errors import StateError
from spark_scoring.run import faults, generation, stream
from spark_scoring.run.generation import Consent
from spark_scoring.run.lane.runner import realtime
from spark_scoring.spec.plan import Offsets, Plan
from spark_scoring.testing import KafkaBroker
from spark_scoring.watch import parity, verify
from tests.lane_world import lane_world
from tests.world import World, flights, record, send

Headers = list[tuple[str, bytes]]


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path, broker: KafkaBroker) -> World:
    return lane_world(spark, tmp_path, broker)


def now() -> datetime:
    return datetime.now(UTC)


def run(world: World) -> list[Plan]:
    made: list[Plan] = []
    realtime(world.spark, world.job, once=True, now=now, stop=threading.Event(), progress=made.append)
    return made


def recover(world: World, **accepted: Any) -> None:
    consent = Consent(by="tests", at=now().isoformat(timespec="seconds"), reason="it was agreed", **accepted)
    generation.recover(world.spark, replace(world.job, lane="micro-batch"), consent=consent)


def rows(world: World, broker: KafkaBroker, first: int, until: int) -> None:
    send(broker, f"{world.job.name}_flights", [record(row) for row in flights(until)[first:]])


def create_again(world: World, broker: KafkaBroker, topic: str) -> None:
    broker.delete_topic(topic)
    broker.create_topic(topic, partitions=1)


def struck(world: World, monkeypatch: pytest.MonkeyPatch, instant: str) -> None:
    with monkeypatch.context() as patched:
        patched.setenv(faults.FAILPOINT, f"{instant}:raise")
        with pytest.raises(faults.Struck):
            run(world)


def five_not_landed(world: World, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four rows are in the table; five more are scored, and the landing was struck before it made its commit."""
    rows(world, broker, 0, 4)
    run(world)
    rows(world, broker, 4, 9)
    struck(world, monkeypatch, "before_commit")


def write(world: World, broker: KafkaBroker, *records: Headers) -> None:
    """Records on the topic of scores that the lane did not make."""
    producer = KafkaProducer(bootstrap_servers=broker.servers)
    for headers in records:
        producer.send(world.job.output.topic, value=b"{}", headers=headers).get(30)
    producer.close()


def headers_of_first(world: World, broker: KafkaBroker) -> dict[str, bytes]:
    consumer = KafkaConsumer(
        world.job.output.topic, bootstrap_servers=broker.servers, auto_offset_reset="earliest", consumer_timeout_ms=2000
    )
    found = dict(next(iter(consumer)).headers)
    consumer.close()
    return found


def ids(world: World) -> list[str]:
    return sorted(row["id"] for row in world.output("stream"))


def flight_ids(first: int, until: int) -> list[str]:
    return [row["id"] for row in flights(until)[first:]]


def check(world: World, *, rows: int) -> None:
    """Each offset of the topic that there is now is in the table once, and scored as in batch."""
    verdict = verify.verify_stream(world.spark, world.job)
    (partition,) = verdict.partitions
    assert (verdict.holds, partition.records, partition.waiting) == (True, rows, 0)
    commits = parity.commits_of(world.spark, world.job, last=None)
    assert parity.exact(world.spark, world.job, commits).holds


@pytest.mark.slow
@pytest.mark.parametrize("more", [10, 3])
def test_a_rows_topic_that_was_created_again_is_read_from_its_first_record(
    world: World, broker: KafkaBroker, more: int
) -> None:
    rows(world, broker, 0, 4)
    run(world)
    create_again(world, broker, f"{world.job.name}_flights")
    rows(world, broker, 10, 10 + more)
    with pytest.raises(StateError, match=r"recover .*--accept-new-topic --reason"):
        run(world)
    recover(world, new_topic=True)
    run(world)

    assert ids(world) == [*flight_ids(0, 4), *flight_ids(10, 10 + more)]
    check(world, rows=more)


@pytest.mark.slow
def test_a_rows_topic_that_was_created_again_before_anything_was_landed(
    world: World, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(world, broker, 0, 4)
    struck(world, monkeypatch, "before_commit")
    create_again(world, broker, f"{world.job.name}_flights")
    rows(world, broker, 10, 20)
    run(world)

    assert ids(world) == flight_ids(10, 20)
    check(world, rows=10)


def test_a_topic_of_scores_that_was_created_again_gets_them_again(
    world: World, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    five_not_landed(world, broker, monkeypatch)
    create_again(world, broker, str(world.job.output.topic))
    with pytest.raises(StateError, match=r"recover .*--accept-new-topic --reason"):
        run(world)
    recover(world, new_topic=True)
    assert verify.verify_stream(world.spark, world.job).holds
    rows(world, broker, 9, 11)
    run(world)

    assert ids(world) == flight_ids(0, 11)
    check(world, rows=11)


@pytest.mark.slow
def test_a_commit_without_rows_keeps_what_the_ledger_knows(world: World, broker: KafkaBroker) -> None:
    rows(world, broker, 0, 5)
    run(world)
    write(world, broker, [])
    (empty,) = run(world)
    for kind in ("commits", "offsets"):
        for file in Path(world.job.state, "realtime", "checkpoint", kind).iterdir():
            file.unlink()
    run(world)

    assert isinstance(empty.input, Offsets) and empty.input.ranges[f"{world.job.name}_flights"] == {0: (5, 5)}
    assert ids(world) == flight_ids(0, 5)
    check(world, rows=5)


def test_what_else_stands_on_the_topic_of_scores_is_left_out_and_counted(world: World, broker: KafkaBroker) -> None:
    rows(world, broker, 0, 4)
    run(world)
    own = headers_of_first(world, broker)
    topic_id, job = own["source"].split(b"/")[0], world.job.name.encode()
    runs = [
        b"\xff\xfe", b"other/1", job, job + b"/", job + b"/x/../" + own["run"].split(b"/")[1], job + b"/\xff",
        job + b"/" + b"9" * 3000, job + b"/99999999T000000-00000000", job + b"/a:b\x00{*}", b"",
    ]  # fmt: skip
    places = [
        b"\xff\xfe", b"", b"/", b"a/b/c", topic_id, topic_id + b"/0", topic_id + b"/0/x", topic_id + b"/99/0",
        topic_id + b"/99999999999/1", topic_id + b"/-1/1", topic_id + b"/0/99999999999999999999", b"x/0/1",
    ]  # fmt: skip
    garbage: list[Headers] = [[], [("row", b"")], [("run", own["run"])], [("source", own["source"])]]
    garbage += [[("run", run), ("source", own["source"]), ("row", own["row"])] for run in runs]
    garbage += [[("run", own["run"]), ("source", place), ("row", own["row"])] for place in places]
    write(world, broker, *garbage)
    assert verify.verify_stream(world.spark, world.job).holds
    rows(world, broker, 4, 6)
    plans = run(world)

    landed = [plan.input.landed for plan in plans if isinstance(plan.input, Offsets)]
    assert sum(one.foreign for one in landed if one) == len(garbage)
    assert sum(one.repeated for one in landed if one) == 0
    assert ids(world) == flight_ids(0, 6)
    check(world, rows=6)


@pytest.mark.slow
def test_scores_of_a_run_whose_record_is_lost_are_made_again(
    world: World, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    five_not_landed(world, broker, monkeypatch)
    newest = max(Path(world.job.state, "realtime", "runs").glob("*.json"))
    newest.unlink()
    with pytest.raises(StateError, match=r"holds no plan.*recover .*--score-again"):
        run(world)
    recover(world, again=True)
    run(world)

    assert ids(world) == flight_ids(0, 9)
    check(world, rows=9)


@pytest.mark.slow
def test_a_stream_of_micro_batches_does_not_touch_what_is_the_lanes(world: World, broker: KafkaBroker) -> None:
    rows(world, broker, 0, 4)
    run(world)
    rows(world, broker, 4, 6)
    before = sorted(Path(world.job.state).rglob("*"))
    with pytest.raises(StateError, match="--lane realtime"):
        stream.stream(world.spark, replace(world.job, lane="micro-batch"), once=True, now=now, stop=threading.Event())
    assert sorted(Path(world.job.state).rglob("*")) == before
    run(world)

    assert ids(world) == flight_ids(0, 6)
    check(world, rows=6)
