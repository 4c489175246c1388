"""What the broker knows of its topics, and what it or Kafka's clients refuse."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io.causes import causes_of
from spark_scoring.spec.job import Kafka

TIMEOUT_MS = 10_000
# an address that needs no look-up, for clients that ask nobody
_NOBODY = "127.0.0.1:9"
_MISSING = {"UnknownTopicOrPartitionException", "InvalidTopicException"}
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
    alone = replace(kafka, servers=_NOBODY)
    # what is wrong for all clients it says first, and what has to do with security by itself
    _connected(spark, alone, TIMEOUT_MS).close()
    properties = _properties(spark, alone)
    _check_mechanism(spark, properties)
    for side in ("key", "value"):
        properties.setProperty(f"{side}.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer")
    if not properties.containsKey("group.id"):
        properties.setProperty("group.id", "check")
    try:
        jvm.org.apache.kafka.clients.consumer.KafkaConsumer(properties).close(jvm.java.time.Duration.ZERO)
    except Py4JJavaError as error:
        raise _unfit(kafka, error) from None


def is_retriable(spark: SparkSession, error: BaseException) -> bool:
    """Whether a Kafka client gave up on something that may go well later.

    Time-outs, lost connections, no leader, names of brokers that nobody knows.
    """
    gateway, kind = spark.sparkContext._gateway, "org.apache.kafka.common.errors.RetriableException"
    return _no_name(error) or any(is_instance_of(gateway, cause, kind) for cause in causes_of(error))


def refusal(kafka: Kafka, error: BaseException, *, topic: str | None = None) -> errors.RunError | None:
    """What to do about rights, passwords or certificates that ended something; None if it ended otherwise.

    `topic`: what was asked for, where the client does not say it.
    """
    names = _causes(error)
    refused = next((i for i, name in enumerate(names) if name.endswith(_REFUSALS)), None)
    if refused is None:
        return None
    # a certificate that is not trusted is the cause of the refusal, and below it
    said = list(dict.fromkeys([names[refused], names[-1]]))
    if names[refused] == "TopicAuthorizationException":
        denied = sorted(map(str, list(causes_of(error))[refused].unauthorizedTopics())) or ([topic] if topic else [])
        said += [f"topic '{name}'" for name in denied]
    return errors.refused_by_broker(kafka.servers, cause=", ".join(said))


def _states(spark: SparkSession, admin: Any, kafka: Kafka, topics: Sequence[str]) -> dict[str, TopicState]:
    described = admin.describeTopics(_list(spark, topics)).topicNameValues()
    there = {topic: _described(admin, described[topic], kafka, topic) for topic in topics}
    partitions = {topic: [int(info.partition()) for info in one.partitions()] for topic, one in there.items()}
    earliest, latest = _offsets(spark, admin, kafka, partitions)
    return {
        topic: TopicState(topic_id=_hex(one.topicId()), earliest=earliest[topic], latest=latest[topic])
        for topic, one in there.items()
    }


def _described(admin: Any, future: Any, kafka: Kafka, topic: str) -> Any:
    try:
        return future.get()
    except Py4JJavaError as error:
        if not _MISSING.isdisjoint(_causes(error)):
            known = _get(admin.listTopics().names(), kafka)
            raise errors.missing_topic(topic, servers=kafka.servers, known=sorted(map(str, known))) from None
        raise _unanswered(kafka, error, topic=topic) from None


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
        raise _not_made(kafka, error) from None


def _not_made(kafka: Kafka, error: Py4JJavaError) -> errors.SparkScoringError:
    """Why there is no client; nobody was asked yet."""
    if _no_name(error):
        return errors.unreachable_broker(kafka.servers, cause="nobody knows its name")
    if any("bootstrap.servers" in str(cause.getMessage()) for cause in causes_of(error)):
        return errors.unfit_servers(kafka.servers)
    if "ConfigException" in _causes(error):
        return _unfit(kafka, error)
    return errors.refused_by_broker(kafka.servers, cause=_causes(error)[-1])


def _no_name(error: BaseException) -> bool:
    return any("No resolvable bootstrap urls" in str(cause.getMessage()) for cause in causes_of(error))


def _check_mechanism(spark: SparkSession, properties: Any) -> None:
    # a client that does not know it takes what follows for an outage; by now its login module has brought its own
    if not str(properties.getProperty("security.protocol", "")).upper().startswith("SASL_"):
        return
    jvm: Any = spark._jvm
    known: set[str] = set()
    factories = jvm.javax.security.sasl.Sasl.getSaslClientFactories()
    while factories.hasMoreElements():
        known |= set(factories.nextElement().getMechanismNames(jvm.java.util.HashMap()))
    if str(properties.getProperty("sasl.mechanism", "GSSAPI")) not in known:
        raise errors.unfit_options(["sasl.mechanism"], cause=f"there are {', '.join(sorted(known))}")


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
        raise _unanswered(kafka, error) from None


def _unanswered(kafka: Kafka, error: Py4JJavaError, *, topic: str | None = None) -> errors.RunError:
    away = errors.unreachable_broker(kafka.servers, cause=_causes(error)[-1])
    return refusal(kafka, error, topic=topic) or away


def _causes(error: BaseException) -> list[str]:
    """What the client ended with, outermost first: class names only, for a message may repeat its configuration."""
    return [str(cause.getClass().getSimpleName()) for cause in causes_of(error)]


def _list(spark: SparkSession, items: Sequence[str]) -> Any:
    jvm: Any = spark._jvm
    return jvm.java.util.ArrayList(list(items))
