"""The query of the lane: Kafka to Kafka in Spark's Real-Time Mode, one row at a time."""

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_scoring.io import kafka
from spark_scoring.models.udf import ScoredModel
from spark_scoring.run import inputs, output
from spark_scoring.run.lane import message
from spark_scoring.run.lane.runs import Run, checkpoint_of
from spark_scoring.run.micro_batch import rows_of
from spark_scoring.run.prepared import AtVersions
from spark_scoring.run.serving import Serving
from spark_scoring.spec.job import Job

_LEAST = "spark.sql.streaming.realTimeMode.minBatchDuration"
_LEAST_MS = 5000


def scores(
    spark: SparkSession, job: Job, *, serving: Serving, tables: AtVersions, topic_id: str, start: Mapping[int, int]
) -> DataFrame:  # fmt: skip
    """The output rows of all records from `start` on, but for what belongs to a commit."""
    assert job.kafka is not None and job.stream is not None
    starting = {job.stream.topic: {str(partition): offset for partition, offset in start.items()}}
    records = kafka.stream(spark, job.kafka, [job.stream.topic], starting=starting, most=None)
    rows = rows_of(records, job, serving=serving, topic_ids={job.stream.topic: topic_id})
    return output.unstamped(output.widened(rows, tables, models=serving.models), job=job, models=serving.models)


def start(frame: DataFrame, *, job: Job, run: Run, models: Sequence[ScoredModel], partitions: int) -> StreamingQuery:
    """The running query."""
    assert job.kafka is not None
    keys = inputs.one_wide(models).rows.key
    sent = message.messages(frame, job=job, run=run, keys=keys, partitions=partitions)
    length_ms = int(job.trigger.realtime.total_seconds() * 1000)
    # Spark's own limit is a guard against checkpoints too often, and the job has said how often
    frame.sparkSession.conf.set(_LEAST, str(min(_LEAST_MS, length_ms)))
    writer = sent.writeStream.format("kafka").options(**kafka.sink(job.kafka), topic=str(job.output.topic))
    writer = writer.option("checkpointLocation", checkpoint_of(job)).outputMode("update")
    timed = writer.trigger(realTime=f"{length_ms} milliseconds")  # type: ignore[call-overload]  # not in its stubs
    query: StreamingQuery = timed.queryName(f"{job.name} realtime").start()
    return query
