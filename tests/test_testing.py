"""The embedded broker is a real one, and leaves nothing behind."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from spark_scoring.errors import RunError
from spark_scoring.testing import Acknowledged, KafkaBroker, Record, free_port, is_open, produce

JARS = Path(os.environ.get("SPARK_SCORING_CACHE", Path(__file__).parents[1] / ".cache")) / "jars" / "kafka"
IN_2013_MS = 1_378_000_000_000


@pytest.fixture
def own() -> Iterator[KafkaBroker]:
    """A broker that the test may kill."""
    with KafkaBroker.start(jars=JARS) as broker:
        yield broker


def read(servers: str, topic: str, *, count: int) -> list[tuple[int, int, int, bytes | None, bytes | None]]:
    consumer = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    with consumer:
        consumer.assign([TopicPartition(topic, part) for part in sorted(consumer.partitions_for_topic(topic))])
        rows = [next(consumer) for _ in range(count)]
    return sorted((row.partition, row.offset, row.timestamp, row.key, row.value) for row in rows)


def gone(pid: int, *, within_s: float = 20) -> bool:
    """True when the process has ended (its parent may not have read its exit code yet)."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
        if not state.strip() or state.startswith("Z"):
            return True
        time.sleep(0.1)
    return False


def test_records_stand_where_the_broker_says(broker: KafkaBroker) -> None:
    broker.create_topic("said", 2)
    records = [
        Record(b"a", b"1", IN_2013_MS, 1),
        Record(b"a", None, IN_2013_MS + 1, 0),
        Record(None, b"\xff", IN_2013_MS + 2, 1),
    ]

    said = produce(broker.servers, "said", records)

    assert said == [Acknowledged(1, 0), Acknowledged(0, 0), Acknowledged(1, 1)]
    assert read(broker.servers, "said", count=3) == [
        (0, 0, IN_2013_MS + 1, b"a", None),
        (1, 0, IN_2013_MS, b"a", b"1"),
        (1, 1, IN_2013_MS + 2, None, b"\xff"),
    ]


def test_a_topic_made_anew_is_another_one(broker: KafkaBroker) -> None:
    first = broker.create_topic("anew")
    produce(broker.servers, "anew", [Record(None, b"1")])

    broker.delete_topic("anew")
    second = broker.create_topic("anew")

    assert broker.topic_id("anew") == second != first
    assert produce(broker.servers, "anew", [Record(None, b"2")]) == [Acknowledged(0, 0)]


def test_an_unknown_topic_has_no_id(broker: KafkaBroker) -> None:
    with pytest.raises(KeyError, match="nowhere"):
        broker.topic_id("nowhere")


def test_records_outlive_a_stop_and_a_kill(own: KafkaBroker) -> None:
    topic_id = own.create_topic("kept", 1)
    produce(own.servers, "kept", [Record(None, b"1", IN_2013_MS)])
    pid = own.pid
    own.stop()
    assert gone(pid) and not is_open(own.port)
    own.restart()
    produce(own.servers, "kept", [Record(None, b"2", IN_2013_MS)])
    own.kill()
    own.restart()

    assert produce(own.servers, "kept", [Record(None, b"3", IN_2013_MS)]) == [Acknowledged(0, 2)]
    assert own.topic_id("kept") == topic_id


def test_a_paused_broker_says_nothing_until_it_is_resumed(own: KafkaBroker) -> None:
    own.create_topic("paused")
    own.pause()
    with pytest.raises(KafkaError):
        KafkaConsumer(bootstrap_servers=own.servers, bootstrap_timeout_ms=1000)
    own.resume()

    assert produce(own.servers, "paused", [Record(None, b"1")]) == [Acknowledged(0, 0)]


def test_a_paused_broker_can_be_stopped(own: KafkaBroker) -> None:
    pid = own.pid
    own.pause()
    own.stop()
    assert gone(pid)


def test_a_given_folder_is_kept(tmp_path: Path) -> None:
    with KafkaBroker.start(jars=JARS, data=tmp_path) as broker:
        topic_id = broker.create_topic("kept")
        broker.stop()

    with KafkaBroker.start(jars=JARS, data=tmp_path, port=free_port()) as broker:
        assert broker.topic_id("kept") == topic_id


def test_a_broker_that_cannot_start_shows_its_last_words(tmp_path: Path, own: KafkaBroker) -> None:
    with pytest.raises(RunError, match=r"did not start: it has ended(?s:.*)Address already in use"):
        KafkaBroker.start(jars=JARS, port=own.port, data=tmp_path)


START_AND = """
import sys
from pathlib import Path
from spark_scoring.testing import KafkaBroker
broker = KafkaBroker.start(jars=Path(sys.argv[1]))
print(broker.pid, broker.data, flush=True)
"""


@pytest.mark.parametrize("last", ["pass", "import os; os.kill(os.getpid(), 9)"], ids=["exit", "SIGKILL"])
def test_no_broker_outlives_its_interpreter(last: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START_AND + last, str(JARS)], capture_output=True, text=True, timeout=60
    )
    assert gone(int(done.stdout.split()[0])), done.stderr
