"""A broker that goes away under a running stream is waited for."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_scoring.errors import BrokerAwayError, ConfigError
from spark_scoring.io import broker as brokers
from spark_scoring.run import stream
from spark_scoring.run.outages import wait_for_broker
from spark_scoring.spec.plan import Plan
from spark_scoring.testing import KafkaBroker
from spark_scoring.watch import verify
from tests.conftest import JARS
from tests.world import flights, make_world, record, send

# Kafka's clients wait a minute by themselves
IMPATIENT = {"default.api.timeout.ms": "3000", "request.timeout.ms": "2000", "session.timeout.ms": "6000"}


@pytest.mark.slow
def test_a_broker_that_comes_back_loses_nothing(spark: SparkSession, tmp_path: Path) -> None:
    made = threading.Semaphore(0)
    stop = threading.Event()

    def progress(_: Plan) -> None:
        made.release()

    with KafkaBroker.start(jars=Path(JARS).parent / "kafka") as broker:
        kafka = {"servers": broker.servers, "options": IMPATIENT}
        world = make_world(spark, tmp_path, kafka=kafka, trigger={"every": "1s"})
        topic = f"{world.job.name}_flights"
        for name in (topic, f"{world.job.name}_arrivals"):
            broker.create_topic(name)
        send(broker, topic, [record(row) for row in flights(10)])
        options = {"once": False, "now": lambda: datetime.now(UTC), "stop": stop, "progress": progress}
        running = threading.Thread(target=stream.stream, args=(spark, world.job), kwargs=options)
        running.start()
        assert made.acquire(timeout=120)
        broker.kill()
        time.sleep(8)
        broker.restart()
        send(broker, topic, [record(row) for row in flights(20)[10:]])
        assert made.acquire(timeout=120)
        stop.set()
        running.join(60)

        assert verify.verify_stream(spark, world.job).holds
        assert len(world.output("stream")) == 20


def test_options_that_no_client_takes_are_no_outage(spark: SparkSession, tmp_path: Path) -> None:
    for options, named in (
        ({"receive.buffer.bytes": "a secret", "client.id": "x"}, r"receive.buffer.bytes \(ConfigException"),
        ({"session.timeout.ms": 5, "heartbeat.interval.ms": 9}, r"heartbeat.interval.ms, session.timeout.ms \("),
    ):
        job = make_world(spark, tmp_path, kafka={"servers": "127.0.0.1:1", "options": options}).job
        with pytest.raises(ConfigError, match=f"does not take {named}") as refused:
            wait_for_broker(spark, job, ["rows"], patience_s=1, stop=threading.Event())
        assert "secret" not in str(refused.value)


def test_a_name_that_nobody_knows_is_an_outage(spark: SparkSession, tmp_path: Path) -> None:
    servers, secret = "broker.invalid:9092", {"sasl.jaas.config": "a secret"}
    job = make_world(spark, tmp_path, kafka={"servers": servers, "options": secret}).job
    with pytest.raises(BrokerAwayError, match=r"broker.invalid:9092 does not answer \(nobody knows its name\)"):
        wait_for_broker(spark, job, ["rows"], patience_s=1, stop=threading.Event())
    reader = spark.read.format("kafka").options(**{"kafka.bootstrap.servers": servers, "subscribe": "rows"})
    with pytest.raises((Py4JJavaError, PySparkException)) as ended:
        reader.load().count()
    assert brokers.is_retriable(spark, ended.value)


def test_servers_that_are_none_are_told_as_such(spark: SparkSession, tmp_path: Path) -> None:
    for servers in ("127.0.0.1", "host:port"):
        job = make_world(spark, tmp_path, kafka={"servers": servers, "options": {"client.id": "x"}}).job
        with pytest.raises(ConfigError, match=f"kafka.servers: '{servers}' is no list of brokers"):
            wait_for_broker(spark, job, ["rows"], patience_s=1, stop=threading.Event())


def test_a_mechanism_that_no_client_knows_is_no_outage(spark: SparkSession, tmp_path: Path) -> None:
    module = "org.apache.kafka.common.security.scram.ScramLoginModule required username='a' password='b';"
    for mechanism in ("SCRAM-SHA512", "plain"):
        options = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism, "sasl.jaas.config": module}
        job = make_world(spark, tmp_path, kafka={"servers": "127.0.0.1:1", "options": options}).job
        with pytest.raises(ConfigError, match=r"does not take sasl.mechanism \(there are .*SCRAM-SHA-512"):
            wait_for_broker(spark, job, ["rows"], patience_s=1, stop=threading.Event())
