"""Kafka, read only: the records of topics as frames, and what the broker knows of its topics."""

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyspark.sql.functions as F
from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io.causes import causes_of
from spark_scoring.spec.job import Kafka
from spark_scoring.spec.plan import Ranges
from spark_scoring.spec.sources import FIXED

TIMEOUT_MS = 10_000
# what no waiting makes better
_REFUSALS = (
    "AuthenticationException", "AuthorizationException", "SSLHandshakeException", "UnsupportedSaslMechanismException",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TopicState:
    """A topic as the broker sees it: offsets [earliest, latest) by partition, without open transactions."""

    topic_id: str
    earliest: Mapping[int, int]
    latest: Mapping[int, int]


def stream(
    spark: SparkSession, kafka: Kafka, topics: Sequence[str], *, starting: str | Mapping[str, Any], most: int | None,
    fail_on_loss: bool = True, headers: bool = False,
) -> DataFrame:  # fmt: skip
    """The unbounded records of all topics, one source, so that its offsets are keyed by topic.

    `most`: how many records a micro-batch takes. `headers`: also `__headers`.
    """
    reader = spark.readStream.format("kafka").options(**_options(kafka), subscribe=",".join(topics))
    reader = reader.option("failOnDataLoss", str(fail_on_loss).lower())
    start = starting if isinstance(starting, str) else json.dumps(starting)
    reader = reader.option("startingOffsets", start).option("includeHeaders", str(headers).lower())
    reader = reader if most is None else reader.option("maxOffsetsPerTrigger", most)
    return _records(reader.load(), headers=headers)


def sink(kafka: Kafka) -> dict[str, str]:
    """Options of Spark's sink: each record is sent at once, and acknowledged by all replicas."""
    given = {name if name.startswith("kafka.") else f"kafka.{name}": value for name, value in kafka.options}
    fixed = {f"kafka.{name}": FIXED[name] for name in ("acks", "linger.ms")}
    return {**given, **fixed, "kafka.bootstrap.servers": kafka.servers}


def between(spark: SparkSession, kafka: Kafka, ranges: Ranges, *, headers: bool = False) -> DataFrame:
    """The committed records of the ranges, each record once; `headers`: also `__headers`."""
    bounds = [
        {topic: {str(p): span[end] for p, span in spans.items()} for topic, spans in ranges.items()} for end in (0, 1)
    ]
    # by partition: with `subscribe` Spark wants offsets for the partitions that no range names, too
    assigned = json.dumps({topic: sorted(spans) for topic, spans in ranges.items()})
    reader = spark.read.format("kafka").options(**_options(kafka), assign=assigned)
    reader = reader.option("startingOffsets", json.dumps(bounds[0])).option("includeHeaders", str(headers).lower())
    return _records(reader.option("endingOffsets", json.dumps(bounds[1])).load(), headers=headers)


def topic_states(
    spark: SparkSession, kafka: Kafka, topics: Sequence[str], *, timeout_ms: int = TIMEOUT_MS
) -> dict[str, TopicState]:
    """What the broker says of each topic; one that does not exist is an error.

    Raises: RunError: the broker does not answer in time, or a topic is missing.
    """
    with closing(Watch(spark=spark, kafka=kafka, timeout_ms=timeout_ms)) as watch:
        return watch.topic_states(topics)


@dataclass(kw_only=True)
class Watch:
    """The broker, asked again and again over one connection; after a failure over a new one."""

    spark: SparkSession
    kafka: Kafka
    timeout_ms: int = TIMEOUT_MS
    _admin: Any = None

    def topic_states(self, topics: Sequence[str]) -> dict[str, TopicState]:
        """See `topic_states`."""
        if self._admin is None:
            self._admin = _connected(self.spark, self.kafka, self.timeout_ms)
        try:
            return _states(self.spark, self._admin, self.kafka, topics)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the connection go; the next question makes a new one."""
        admin, self._admin = self._admin, None
        if admin is not None:
            jvm: Any = self.spark._jvm
            admin.close(jvm.java.time.Duration.ofSeconds(1))


def check_options(spark: SparkSession, kafka: Kafka) -> None:
    """Nothing, if a consumer takes the options; no broker is asked.

    Raises: ConfigError: it does not. RunError: its security options cannot be used.
    """
    jvm: Any = spark._jvm
    # what is wrong for all clients it says first, and what has to do with security by itself
    _connected(spark, kafka, TIMEOUT_MS).close()
    properties = _properties(spark, kafka)
    for side in ("key", "value"):
        properties.setProperty(f"{side}.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer")
    if not properties.containsKey("group.id"):
        properties.setProperty("group.id", "check")
    try:
        jvm.org.apache.kafka.clients.consumer.KafkaConsumer(properties).close(jvm.java.time.Duration.ZERO)
    except Py4JJavaError as error:
        raise _unfit(kafka, error) from None


def is_retriable(spark: SparkSession, error: BaseException) -> bool:
    """Whether a Kafka client gave up on something that may go well later: time-outs, lost connections, no leader."""
    gateway, kind = spark.sparkContext._gateway, "org.apache.kafka.common.errors.RetriableException"
    return any(is_instance_of(gateway, cause, kind) for cause in causes_of(error))


def unreadable_record(error: BaseException, *, job: str) -> errors.RunError | None:
    """What to do about the one record that ended a query because Spark cannot read it; None if it ended otherwise."""
    for cause in causes_of(error):
        kind = cause.getClass().getSimpleName()
        if kind == "KafkaIllegalStateException" and cause.getCondition() == "KAFKA_MALFORMED_RECORD_TIMESTAMP":
            at = cause.getMessageParameters()
            return errors.malformed_timestamp(f"{at['topic']}[{at['partition']}]", offset=int(at["offset"]), job=job)
    return None


def _states(spark: SparkSession, admin: Any, kafka: Kafka, topics: Sequence[str]) -> dict[str, TopicState]:
    # asked together, then waited for: each answer is a round trip
    names, described = admin.listTopics().names(), admin.describeTopics(_list(spark, topics)).allTopicNames()
    known = _get(names, kafka)
    for topic in topics:
        if not known.contains(topic):
            raise errors.missing_topic(topic, servers=kafka.servers, known=sorted(map(str, known)))
    there = _get(described, kafka)
    found = {topic: there[topic] for topic in topics}
    partitions = {topic: [int(info.partition()) for info in one.partitions()] for topic, one in found.items()}
    earliest, latest = _offsets(spark, admin, kafka, partitions)
    return {
        topic: TopicState(topic_id=_hex(one.topicId()), earliest=earliest[topic], latest=latest[topic])
        for topic, one in found.items()
    }


def _hex(topic_id: Any) -> str:
    return base64.urlsafe_b64decode(topic_id.toString() + "==").hex()


def _offsets(
    spark: SparkSession, admin: Any, kafka: Kafka, partitions: Mapping[str, Sequence[int]]
) -> list[dict[str, dict[int, int]]]:
    """The earliest and the latest offsets, by topic and partition."""
    jvm: Any = spark._jvm
    keys = {
        (topic, p): jvm.org.apache.kafka.common.TopicPartition(topic, p) for topic, ps in partitions.items() for p in ps
    }
    spec = jvm.org.apache.kafka.clients.admin.OffsetSpec
    asked = [_asked(jvm, admin, keys.values(), of) for of in (spec.earliest(), spec.latest())]
    return [
        {topic: {p: int(found[keys[topic, p]].offset()) for p in ps} for topic, ps in partitions.items()}
        for found in (_get(one, kafka) for one in asked)
    ]


def _asked(jvm: Any, admin: Any, keys: Iterable[Any], spec: Any) -> Any:
    wanted = jvm.java.util.HashMap()
    for key in keys:
        wanted.put(key, spec)
    committed = jvm.org.apache.kafka.clients.admin.ListOffsetsOptions(
        jvm.org.apache.kafka.common.IsolationLevel.READ_COMMITTED
    )
    return admin.listOffsets(wanted, committed).all()


def _connected(spark: SparkSession, kafka: Kafka, timeout_ms: int) -> Any:
    jvm: Any = spark._jvm
    properties = _properties(spark, kafka)
    properties.setProperty("default.api.timeout.ms", str(timeout_ms))
    properties.setProperty("request.timeout.ms", str(timeout_ms // 2))
    try:
        return jvm.org.apache.kafka.clients.admin.AdminClient.create(properties)
    except Py4JJavaError as error:
        # nobody was asked yet: the options themselves are wrong
        if "ConfigException" in _causes(error):
            raise _unfit(kafka, error) from None
        raise errors.refused_by_broker(kafka.servers, cause=_causes(error)[-1]) from None


def _properties(spark: SparkSession, kafka: Kafka) -> Any:
    jvm: Any = spark._jvm
    properties = jvm.java.util.Properties()
    for name, value in kafka.options:
        properties.setProperty(name.removeprefix("kafka."), value)
    properties.setProperty("bootstrap.servers", kafka.servers)
    return properties


def _unfit(kafka: Kafka, error: Py4JJavaError) -> errors.ConfigError:
    """Which options a client does not take: those that it names, else all that there are."""
    said = " ".join(str(cause.getMessage()) for cause in causes_of(error))
    given = [name for name, _ in kafka.options]
    named = [name for name in given if re.search(rf"(?<![\w.]){re.escape(name.removeprefix('kafka.'))}(?!\w)", said)]
    return errors.unfit_options(named or given, cause=_causes(error)[-1])


def _get(future: Any, kafka: Kafka) -> Any:
    try:
        return future.get()
    except Py4JJavaError as error:
        causes = _causes(error)
        # a certificate that is not trusted is the cause of the refusal, and below it
        refusals = [name for name in causes if name.endswith(_REFUSALS)]
        if refusals:
            named = dict.fromkeys([refusals[0], causes[-1]])
            raise errors.refused_by_broker(kafka.servers, cause=", ".join(named)) from None
        raise errors.unreachable_broker(kafka.servers, cause=causes[-1]) from None


def _causes(error: Py4JJavaError) -> list[str]:
    """What the client ended with, outermost first: class names only, for a message may repeat its configuration."""
    return [str(cause.getClass().getSimpleName()) for cause in causes_of(error)]


def _list(spark: SparkSession, items: Sequence[str]) -> Any:
    jvm: Any = spark._jvm
    return jvm.java.util.ArrayList(list(items))


def _options(kafka: Kafka) -> dict[str, str]:
    given = {name if name.startswith("kafka.") else f"kafka.{name}": value for name, value in kafka.options}
    return {
        **given,
        "kafka.bootstrap.servers": kafka.servers,
        "kafka.isolation.level": FIXED["isolation.level"],
        "failOnDataLoss": "true",
    }


def _records(frame: DataFrame, *, headers: bool = False) -> DataFrame:
    # named as no declared column may be
    names = {"topic": "__topic", "partition": "__partition", "offset": "__offset", "timestamp": "__timestamp"}
    names |= {"value": "__raw"} | ({"headers": "__headers"} if headers else {})
    return frame.select(*[F.col(name).alias(own) for name, own in names.items()])
