"""The real-time lane's part of verify: what was scored and is not landed yet must stand on the topic of scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from spark_scoring.io import broker, checkpoint, kafka
from spark_scoring.io.broker import TopicState
from spark_scoring.run.lane import message, runs
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Offsets, Plan


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Beyond what is landed: `reached`, how far the lane's checkpoint is, and `places`, what its topic holds.

    `places`: partition and offset of the rows, each once.
    """

    reached: Mapping[int, tuple[int, int]]
    places: DataFrame


def scored(spark: SparkSession, job: Job, plans: Sequence[Plan], state: TopicState) -> Scored | None:
    """What the lane has scored beyond the table; None for a job that is not on it."""
    newest = plans[-1].input if plans else None
    if not isinstance(newest, Offsets) or newest.landed is None or job.kafka is None or job.stream is None:
        return None
    done = checkpoint.committed(spark, runs.checkpoint_of(job), job=job.path) or {}
    # of a topic that is gone it says nothing
    begun = newest.landed.start if newest.topic_ids.get(job.stream.topic) == state.topic_id else state.earliest
    reached = {p: (begun.get(p, 0), end) for p, end in done.get(job.stream.topic, {}).items()}
    return Scored(reached=reached, places=_places(spark, job, newest, state))


def _places(spark: SparkSession, job: Job, newest: Offsets, state: TopicState) -> DataFrame:
    assert job.kafka is not None
    topic = str(job.output.topic)
    there = broker.topic_states(spark, job.kafka, [topic])[topic]
    landed = {p: until for p, (_, until) in newest.ranges.get(topic, {}).items()}
    spans = {p: (max(landed.get(p, 0), there.earliest[p]), end) for p, end in there.latest.items()}
    waiting = {topic: {p: span for p, span in spans.items() if span[0] < span[1]}}
    if not waiting[topic]:
        return spark.createDataFrame([], "partition int, offset bigint")
    said = message.said_of(kafka.between(spark, job.kafka, waiting, headers=True))
    own = said.where(said.topic_id == state.topic_id).where("offset is not null")
    return own.select("partition", "offset").distinct()
