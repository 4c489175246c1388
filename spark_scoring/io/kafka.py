"""The records of Kafka's topics as frames, read only."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io.causes import causes_of
from spark_scoring.spec.job import Kafka
from spark_scoring.spec.plan import Ranges
from spark_scoring.spec.sources import FIXED


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


def unreadable_record(error: BaseException, *, job: str) -> errors.RunError | None:
    """What to do about the one record that ended a query because Spark cannot read it; None if it ended otherwise."""
    for cause in causes_of(error):
        kind = cause.getClass().getSimpleName()
        if kind == "KafkaIllegalStateException" and cause.getCondition() == "KAFKA_MALFORMED_RECORD_TIMESTAMP":
            at = cause.getMessageParameters()
            return errors.malformed_timestamp(f"{at['topic']}[{at['partition']}]", offset=int(at["offset"]), job=job)
    return None


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
