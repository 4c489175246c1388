"""Secrets stay where they are: a broker with passwords, and every place that a password could get to."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_scoring.testing import KafkaBroker
from spark_scoring.testing.broker import free_port
from tests.conftest import JARS
from tests.faults.arena import Arena, files_in, kill_group, make_arena

SECRET = "hush-7f3a9c41"
WRONG = "wrong-5b2d8e60"
MODULE = "org.apache.kafka.common.security.plain.PlainLoginModule required"


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[KafkaBroker, str]]:
    """A broker, and its address for those who have a password."""
    port = free_port()
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{{port}},GUARDED://127.0.0.1:{port},"
        "CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{{port}},GUARDED://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.guarded.plain.sasl.jaas.config": f'{MODULE} user_scorer="{SECRET}";',
    }
    with KafkaBroker.start(jars=Path(JARS).parent / "kafka", settings=settings) as broker:
        yield broker, f"127.0.0.1:{port}"


@pytest.fixture
def arena(spark: SparkSession, tmp_path: Path, guarded: tuple[KafkaBroker, str]) -> Arena:
    broker, servers = guarded
    options = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": f'{MODULE} username="scorer" password="${{KAFKA_PASSWORD}}";',
    }
    return make_arena(spark, tmp_path, broker, kafka={"servers": servers, "options": options})


def test_a_password_goes_through_and_nowhere_else(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    arena.feed(3)
    arena.send(0, 10)
    process = arena.start("stream", "--once")
    listed = set()
    while process.poll() is None:
        listed.add(subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True).stdout)
        time.sleep(0.5)
    kill_group(process)

    assert process.returncode == 0, arena.log("log").read_text()
    assert not arena.damage()
    assert not any(SECRET in text for text in listed)
    assert [path for path in files_in(arena.world.folder) if SECRET.encode() in path.read_bytes()] == []


@pytest.mark.faults
def test_a_wrong_password_is_told_at_once_and_without_it(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", WRONG)
    said = arena.finished("stream", "--once", code=1)

    assert "refuses this client (SaslAuthenticationException)" in said and "Waiting" not in said
    assert [path for path in files_in(arena.world.folder) if WRONG.encode() in path.read_bytes()] == []
