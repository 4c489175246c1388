"""Nothing is dropped silently: what is gone is detected, and stopped on until somebody accepts it."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewPartitions
from kafka.structs import TopicPartition

from spark_scoring.errors import RunError, StateError
from spark_scoring.io import delta_write
from spark_scoring.io.delta_write import Transaction
from spark_scoring.run import faults
from spark_scoring.run.takeover import app_id
from spark_scoring.testing import Record, produce
from spark_scoring.watch import verify
from tests.faults import oracle
from tests.faults.arena import Arena
from tests.world import arrivals, flights, record, send

WHY = "the disk was full, agreed with the owner"


def remove_before(arena: Arena, ends: dict[int, int], *, topic: str | None = None) -> None:
    """What retention does, to the rows' topic or another."""
    with KafkaAdminClient(bootstrap_servers=arena.broker.servers) as admin:
        admin.delete_records({TopicPartition(topic or arena.rows_topic, p): end for p, end in ends.items()})


def unread(arena: Arena, *, removed: int) -> list[oracle.Sent]:
    """Sends rows that the stream has not read, and removes the first of them; those removed."""
    known = len(arena.sent)
    arena.send(30, 50)
    waiting = [one for one in arena.sent[known:] if one.partition == 0]
    gone = [one for one in waiting if one.offset < waiting[0].offset + removed]
    remove_before(arena, {0: waiting[0].offset + removed})
    return gone


@pytest.fixture
def begun(arena: Arena) -> Arena:
    arena.send(0, 30)
    arena.run()
    return arena


@pytest.mark.slow
def test_retention_that_removed_unread_records(begun: Arena) -> None:
    gone = unread(begun, removed=3)
    assert [part.removed for part in verify.verify_stream(begun.world.spark, begun.job).partitions] == [3, 0]
    with pytest.raises(StateError, match="--accept-loss") as refused:
        begun.run()
    with pytest.raises(StateError, match="--accept-loss"):
        begun.recover()
    begun.recover(loss=True, reason=WHY)
    begun.run()

    assert begun.damage().missing == tuple(one.at for one in gone) and not begun.damage().doubled
    verdict = verify.verify_stream(begun.world.spark, begun.job)
    (noted,) = [one["takeover"] for one in oracle.metadata_of(begun.output) if "takeover" in one]
    assert f"records {gone[0].offset} to {gone[-1].offset + 1}" in str(refused.value)
    assert verdict.holds and len(verdict.accepted) == 1 and WHY in verdict.accepted[0]
    assert (noted["by"], noted["reason"], noted["accepted"][0]["until"]) == ("tests", WHY, gone[-1].offset + 1)


@pytest.mark.slow
def test_without_the_protection_retention_is_not_noticed(begun: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = unread(begun, removed=3)
    monkeypatch.setenv(faults.WITHOUT, "retention,ledger")
    begun.run()

    assert begun.damage().missing == tuple(one.at for one in gone)


def test_a_new_partition_whose_first_records_are_gone(begun: Arena) -> None:
    with KafkaAdminClient(bootstrap_servers=begun.broker.servers) as admin:
        admin.create_partitions({begun.rows_topic: NewPartitions(3)})
    values = [record(row) for row in flights(40)[30:]]
    records = [Record(key=None, value=value, partition=2) for value in values]
    at = produce(begun.broker.servers, begun.rows_topic, records)
    begun.sent += [oracle.Sent(begun.rows_topic, 2, one.offset, value) for one, value in zip(at, values, strict=True)]
    remove_before(begun, {2: 4})
    with pytest.raises(StateError, match=r"records 0 to 4, .*--accept-loss"):
        begun.run()
    begun.recover(loss=True, reason=WHY)
    begun.run()

    assert begun.damage().missing == tuple((begun.rows_topic, 2, offset) for offset in range(4))
    assert begun.holds()


def test_a_new_feed_whose_first_records_are_gone(arena: Arena) -> None:
    fed, topic = arena.world, f"{arena.job.name}_arrivals"
    tables = tuple(replace(table, feed=None) for table in fed.job.tables)
    arena.world = replace(fed, job=replace(fed.job, tables=tables))
    arena.send(0, 30)
    arena.run()
    arena.world = fed
    landed = [Record(key=None, value=record(row), partition=0) for row in arrivals(6)]
    produce(arena.broker.servers, topic, landed)
    remove_before(arena, {0: 4}, topic=topic)
    for go_on in (arena.run, arena.recover):
        with pytest.raises(StateError, match=r"(?s)records 0 to 4.*--accept-loss"):
            go_on()
    arena.recover(loss=True, reason=WHY)
    arena.send(30, 40)
    arena.run()

    assert not arena.damage() and arena.fed_rows() == 2
    assert arena.holds()


def test_a_feed_that_is_taken_out_of_the_job_and_put_back(begun: Arena) -> None:
    fed, topic = begun.world, f"{begun.job.name}_arrivals"
    landed = [Record(key=None, value=record(row), partition=1) for row in arrivals(7)]
    produce(begun.broker.servers, topic, landed[:4])
    begun.run()
    tables = tuple(replace(table, feed=None) for table in fed.job.tables)
    begun.world = replace(fed, job=replace(fed.job, tables=tables))
    begun.send(30, 35)
    with pytest.raises(StateError, match=rf"{topic}, which the job no longer reads.*spark-scoring recover"):
        begun.run()
    begun.recover()
    begun.run()
    assert not begun.damage() and begun.holds()
    begun.world = fed
    produce(begun.broker.servers, topic, landed[4:])
    begun.run()

    assert begun.fed_rows() == 7, "what was fed before is not fed again"
    assert begun.holds()


@pytest.mark.slow
def test_a_record_that_spark_cannot_read_is_named_and_can_be_given_up(
    arenas: Callable[..., Arena],
) -> None:
    arena = arenas(partitions=1)
    arena.send(0, 5)
    arena.run()
    arena.send(5, 8)
    in_nanoseconds = Record(key=None, value=record(flights(9)[8]), timestamp_ms=1_700_000_000_000_000_000)
    produce(arena.broker.servers, arena.rows_topic, [in_nanoseconds])
    arena.send(9, 12)
    named = rf"{arena.rows_topic}\[0\]: .* offset 8: .*kafka-delete-records, offset 9.*recover .*--accept-loss"
    with pytest.raises(RunError, match=named):
        arena.run()
    # what is before it is kept by smaller micro-batches, which begin anew
    one_by_one = replace(arena.job, kafka=replace(arena.job.kafka, max_rows_per_batch=1))
    arena = replace(arena, world=replace(arena.world, job=one_by_one))
    arena.recover()
    with pytest.raises(RunError, match=named):
        arena.run()
    remove_before(arena, {0: 9})
    arena.recover(loss=True, reason=WHY)
    arena.run()

    assert not arena.damage() and arena.holds()


def create_again(arena: Arena) -> list[oracle.Sent]:
    """Deletes the topic and makes it anew with more records than it had; those of the old one."""
    old, arena.sent = arena.sent, []
    arena.broker.delete_topic(arena.rows_topic)
    arena.broker.create_topic(arena.rows_topic, partitions=2)
    arena.send(0, 55)
    return old


def test_a_topic_that_was_created_again(begun: Arena) -> None:
    create_again(begun)
    assert "created again" in str(verify.verify_stream(begun.world.spark, begun.job).broken)
    with pytest.raises(StateError, match=r"recover .*--accept-new-topic --reason"):
        begun.run()
    begun.recover(new_topic=True, reason=WHY)
    begun.run()

    rows = oracle.rows_of(begun.output)
    newest = [row for row in rows if row["source"]["topic_id"] == begun.broker.topic_id(begun.rows_topic)]
    assert sorted(place(row) for row in newest) == sorted(one.at for one in begun.sent) and len(rows) == 85
    assert begun.holds()


@pytest.mark.slow
def test_without_the_protection_a_new_topic_is_not_noticed(begun: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    create_again(begun)
    monkeypatch.setenv(faults.WITHOUT, "topic_id")
    begun.run()

    rows = oracle.rows_of(begun.output)
    assert len(rows) < 85


def place(row: dict[str, Any]) -> tuple[str, int, int]:
    return row["source"]["topic"], row["source"]["partition"], row["source"]["offset"]


TRANSACTIONS = """
import sys
from kafka import KafkaProducer
servers, topic, *values = sys.argv[1:]
producer = KafkaProducer(bootstrap_servers=servers, transactional_id=topic, acks="all")
producer.init_transactions()
for how, value in zip(values[::2], values[1::2]):
    producer.begin_transaction()
    at = producer.send(topic, value.encode(), partition=0)
    producer.flush()
    print(at.get(10).offset)
    producer.commit_transaction() if how == "commit" else producer.abort_transaction()
"""


def test_records_of_aborted_transactions_are_no_loss_and_no_rows(begun: Arena) -> None:
    rows = [record(row).decode() for row in flights(36)[30:]]
    plan = [word for i, row in enumerate(rows) for word in ("commit" if i % 2 else "abort", row)]
    script = [sys.executable, "-c", TRANSACTIONS, begun.broker.servers, begun.rows_topic, *plan]
    said = subprocess.run(script, capture_output=True, text=True, check=True).stdout.split()
    committed = [(offset, row) for i, (offset, row) in enumerate(zip(said, rows, strict=True)) if i % 2]
    begun.sent += [oracle.Sent(begun.rows_topic, 0, int(offset), row.encode()) for offset, row in committed]
    begun.run()

    assert not begun.damage()
    assert begun.holds()


@pytest.mark.slow
def test_an_event_of_another_age_and_a_key_seen_twice_are_counted(begun: Arena) -> None:
    far = {**flights(1)[0], "id": "far", "at": datetime.fromisoformat("2999-01-01T00:00:00+00:00")}
    send(begun.broker, begun.rows_topic, [record(far), record(flights(1)[0])])
    begun.run()

    rows = {row["id"]: row for row in begun.world.output("stream")}
    verdict = verify.verify_stream(begun.world.spark, begun.job)
    assert (rows["far"]["outcome"], rows["far"]["reason"], rows["far"]["event_time"]) == ("rejected", "SCHEMA", None)
    assert rows["far"]["raw"] is not None
    assert verdict.holds and verdict.repeated_keys == 1


def test_a_transaction_that_delta_skips_is_an_error(begun: Arena) -> None:
    generation = oracle.metadata_of(begun.output)[-1]["commit_id"].split("/")[1]
    txn = Transaction(app_id=app_id(begun.job.name, generation), version=2**40)
    delta_write.note(begun.world.spark, begun.output, txn=txn, metadata="{}")
    begun.send(30, 40)
    with pytest.raises(RunError, match="reported success and wrote nothing"):
        begun.run()


@pytest.mark.slow
def test_a_change_that_nobody_planned_is_named(begun: Arena) -> None:
    begun.world.spark.read.format("delta").load(begun.output).limit(1).write.format("delta").mode("append").save(
        begun.output
    )
    assert "WRITE changed data and carries no plan" in str(verify.verify_stream(begun.world.spark, begun.job).broken)


@pytest.mark.slow
def test_a_start_that_is_not_the_first_record_of_an_earliest_stream(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edited first offset, before anything is in the ledger."""
    arena.send(0, 30)
    arena.struck(monkeypatch, "before_commit")
    source = next(path for path in (arena.world.folder / "state/checkpoint/sources/0").iterdir() if path.name == "0")
    *version, text = source.read_text().splitlines()
    offsets = json.loads(text)
    offsets[arena.rows_topic]["0"] = 3
    source.write_text("\n".join([*version, json.dumps(offsets)]))
    (source.parent / ".0.crc").unlink()
    with pytest.raises(StateError, match="would be lost"):
        arena.run()
