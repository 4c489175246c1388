"""Kafka, read only: the records of topics as frames, and what the broker knows of its topics."""

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyspark.sql.functions as F
from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.spec.job import Kafka
from spark_scoring.spec.plan import Ranges

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
    spark: SparkSession, kafka: Kafka, topics: Sequence[str], *, starting: str | Mapping[str, Any], most: int,
    fail_on_loss: bool = True,
) -> DataFrame:  # fmt: skip
    """The unbounded records of all topics, one source, so that its offsets are keyed by topic."""
    reader = spark.readStream.format("kafka").options(**_options(kafka), subscribe=",".join(topics))
    reader = reader.option("failOnDataLoss", str(fail_on_loss).lower())
    start = starting if isinstance(starting, str) else json.dumps(starting)
    return _records(reader.option("startingOffsets", start).option("maxOffsetsPerTrigger", most).load())


def between(spark: SparkSession, kafka: Kafka, ranges: Ranges) -> DataFrame:
    """The committed records of the ranges, each record once."""
    bounds = [
        {topic: {str(p): span[end] for p, span in spans.items()} for topic, spans in ranges.items()} for end in (0, 1)
    ]
    # by partition: with `subscribe` Spark wants offsets for the partitions that no range names, too
    assigned = json.dumps({topic: sorted(spans) for topic, spans in ranges.items()})
    reader = spark.read.format("kafka").options(**_options(kafka), assign=assigned)
    reader = reader.option("startingOffsets", json.dumps(bounds[0]))
    return _records(reader.option("endingOffsets", json.dumps(bounds[1])).load())


def topic_states(
    spark: SparkSession, kafka: Kafka, topics: Sequence[str], *, timeout_ms: int = TIMEOUT_MS
) -> dict[str, TopicState]:
    """What the broker says of each topic; one that does not exist is an error.

    Raises: RunError: the broker does not answer in time, or a topic is missing.
    """
    with _admin(spark, kafka, timeout_ms) as admin:
        known = {str(name) for name in _get(admin.listTopics().names(), kafka)}
        for topic in topics:
            if topic not in known:
                raise errors.missing_topic(topic, servers=kafka.servers, known=sorted(known))
        described = _get(admin.describeTopics(_list(spark, topics)).allTopicNames(), kafka)
        return {topic: _state(spark, admin, kafka, described[topic]) for topic in topics}


def is_retriable(spark: SparkSession, error: BaseException) -> bool:
    """Whether a Kafka client gave up on something that may go well later: time-outs, lost connections, no leader."""
    cause = getattr(error, "_origin", None)
    while cause is not None:
        if is_instance_of(spark.sparkContext._gateway, cause, "org.apache.kafka.common.errors.RetriableException"):
            return True
        cause = cause.getCause()
    return False


def _state(spark: SparkSession, admin: Any, kafka: Kafka, described: Any) -> TopicState:
    partitions = [int(info.partition()) for info in described.partitions()]
    identity = base64.urlsafe_b64decode(described.topicId().toString() + "==").hex()
    earliest, latest = (
        _offsets(spark, admin, kafka, described.name(), partitions, spec) for spec in ("earliest", "latest")
    )
    return TopicState(topic_id=identity, earliest=earliest, latest=latest)


def _offsets(
    spark: SparkSession, admin: Any, kafka: Kafka, topic: str, partitions: Sequence[int], spec: str
) -> dict[int, int]:
    jvm: Any = spark._jvm
    wanted = jvm.java.util.HashMap()
    keys = {p: jvm.org.apache.kafka.common.TopicPartition(topic, p) for p in partitions}
    for key in keys.values():
        wanted.put(key, getattr(jvm.org.apache.kafka.clients.admin.OffsetSpec, spec)())
    committed = jvm.org.apache.kafka.clients.admin.ListOffsetsOptions(
        jvm.org.apache.kafka.common.IsolationLevel.READ_COMMITTED
    )
    found = _get(admin.listOffsets(wanted, committed).all(), kafka)
    return {p: int(found[key].offset()) for p, key in keys.items()}


@contextmanager
def _admin(spark: SparkSession, kafka: Kafka, timeout_ms: int) -> Any:
    jvm: Any = spark._jvm
    properties = jvm.java.util.Properties()
    for name, value in kafka.options:
        properties.setProperty(name.removeprefix("kafka."), value)
    properties.setProperty("bootstrap.servers", kafka.servers)
    properties.setProperty("default.api.timeout.ms", str(timeout_ms))
    properties.setProperty("request.timeout.ms", str(timeout_ms // 2))
    try:
        admin = jvm.org.apache.kafka.clients.admin.AdminClient.create(properties)
    except Py4JJavaError as error:
        # nobody was asked yet: the options themselves are wrong
        raise errors.refused_by_broker(kafka.servers, cause=_cause(error)) from None
    try:
        yield admin
    finally:
        admin.close(jvm.java.time.Duration.ofSeconds(1))


def _get(future: Any, kafka: Kafka) -> Any:
    try:
        return future.get()
    except Py4JJavaError as error:
        inner = _innermost(error)
        if inner.getClass().getSimpleName().endswith(_REFUSALS):
            raise errors.refused_by_broker(kafka.servers, cause=_cause(error)) from None
        raise errors.unreachable_broker(kafka.servers, cause=_cause(error)) from None


def _cause(error: Py4JJavaError) -> str:
    # class names only: a message of the client may repeat its configuration
    return str(_innermost(error).getClass().getSimpleName())


def _innermost(error: Py4JJavaError) -> Any:
    inner = error.java_exception
    while inner.getCause() is not None:
        inner = inner.getCause()
    return inner


def _list(spark: SparkSession, items: Sequence[str]) -> Any:
    jvm: Any = spark._jvm
    return jvm.java.util.ArrayList(list(items))


def _options(kafka: Kafka) -> dict[str, str]:
    given = {name if name.startswith("kafka.") else f"kafka.{name}": value for name, value in kafka.options}
    return {
        **given,
        "kafka.bootstrap.servers": kafka.servers,
        "kafka.isolation.level": "read_committed",
        "failOnDataLoss": "true",
    }


def _records(frame: DataFrame) -> DataFrame:
    # named as no declared column may be
    names = {"topic": "__topic", "partition": "__partition", "offset": "__offset", "timestamp": "__timestamp"}
    return frame.select(*[F.col(name).alias(own) for name, own in {**names, "value": "__raw"}.items()])
