"""Verify: every offset that the stream committed is in the output exactly once, against the broker itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import delta, kafka
from spark_scoring.run import ledger
from spark_scoring.run.ledger import Commit
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Offsets, Plan
from spark_scoring.watch.feed_check import FeedVerdict, check_feed

# operations that rewrite or describe a table without changing its rows
NO_DATA = (
    "OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "CREATE TABLE",
    "CHANGE COLUMN", "ADD COLUMNS", "ADD CONSTRAINT", "UPGRADE PROTOCOL", "COMPUTE STATS", "CLUSTER BY",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition of the rows topic: committed offsets [start, until), and what was found of them.

    `records`: of the broker (`None`: it no longer holds all of the range). `missing`: not in the output.
    `doubled`: more than once. `unaccounted`: in the output, but not in the broker or not in a committed range.
    `waiting`: in the broker, not committed yet.
    """

    partition: int
    start: int
    until: int
    records: int | None
    rows: int
    missing: int
    doubled: int
    unaccounted: int
    waiting: int

    @property
    def holds(self) -> bool:
        """Whether every record is in exactly one place."""
        return self.missing == self.doubled == self.unaccounted == 0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What `verify` found: the partitions, and each break of the ledger in words."""

    commits: int
    partitions: tuple[Partition, ...] = ()
    feeds: tuple[FeedVerdict, ...] = ()
    broken: tuple[str, ...] = field(default=())
    repeated_keys: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled or unaccounted."""
        parts = [*(part.holds for part in self.partitions), *(feed.holds for feed in self.feeds)]
        return not self.broken and all(parts)


def verify_stream(spark: SparkSession, job: Job) -> Verdict:
    """Compare the output of a stream with its own log and with the broker.

    Raises: ConfigError: the job has no stream. RunError: there are no commits, or the broker does not answer.
    """
    if job.stream is None or job.kafka is None or job.output.stream is None:
        raise errors.missing_part(job.path, part="rows.stream, kafka and output.stream", command="verify")
    commits = ledger.stream_commits(spark, job.output.stream, job=job.name)
    if not commits:
        raise errors.no_commits(job.output.stream, job=job.name)
    rows = spark.read.format("delta").load(job.output.stream)
    plans = [commit.plan for commit in commits]
    broken = [*_gaps(plans), *_counts(rows, commits), *_without_plan(spark, job.output.stream)]
    state = kafka.topic_states(spark, job.kafka, [job.stream.topic])[job.stream.topic]
    return Verdict(
        commits=len(commits),
        partitions=_partitions(spark, job, rows, plans, state),
        feeds=tuple(check_feed(spark, job, table, plans) for table in job.tables if table.feed),
        broken=tuple(broken),
        repeated_keys=_repeated_keys(rows),
    )


def verify_batch(spark: SparkSession, job: Job) -> Verdict:
    """Check that every change of the batch output carries its plan, and count keys seen more than once."""
    if job.output.batch is None:
        raise errors.missing_part(job.path, part="output.batch", command="verify")
    commits = ledger.commits(spark, job.output.batch, job=job.name)
    if not commits:
        raise errors.no_commits(job.output.batch, job=job.name)
    rows = spark.read.format("delta").load(job.output.batch)
    known = {commit.plan.commit_id for commit in commits}
    strangers = [row["commit_id"] for row in rows.select("commit_id").distinct().collect() if row[0] not in known]
    broken = [f"rows of commit {name}, which the log does not hold" for name in strangers]
    return Verdict(
        commits=len(commits),
        broken=(*broken, *_without_plan(spark, job.output.batch)),
        repeated_keys=_repeated_keys(rows),
    )


def verify(spark: SparkSession, job: Job) -> dict[str, Verdict]:
    """A verdict for each side of the job, `stream` and `batch`, that has made commits.

    Raises: RunError: there are none, or the broker does not answer.
    """
    sides = {"stream": (job.output.stream, verify_stream), "batch": (job.output.batch, verify_batch)}
    tables = {side: (path, check) for side, (path, check) in sides.items() if path is not None}
    found = {
        side: check(spark, job) for side, (path, check) in tables.items() if ledger.commits(spark, path, job=job.name)
    }
    if not found:
        raise errors.no_commits(" and ".join(path for path, _ in tables.values()), job=job.name)
    return found


def _gaps(plans: Sequence[Plan]) -> list[str]:
    broken = []
    until: dict[tuple[str, int], int] = {}
    for plan in plans:
        assert isinstance(plan.input, Offsets)
        for topic, spans in plan.input.ranges.items():
            for partition, (start, end) in spans.items():
                expected = until.get((topic, partition), start)
                if start != expected:
                    broken.append(f"{plan.commit_id}: {topic}[{partition}] begins at {start}, not {expected}")
                until[topic, partition] = end
    return broken


def _counts(rows: DataFrame, commits: Sequence[Commit]) -> list[str]:
    found = {row["commit_id"]: row["count"] for row in rows.groupBy("commit_id").count().collect()}
    planned = {c.plan.commit_id: c.plan.counts.rows for c in commits if c.plan.counts is not None}
    wrong = {name for name in found.keys() | planned.keys() if found.get(name, 0) != planned.get(name, 0)}
    return [
        f"{name}: {found.get(name, 0)} rows in the table, {planned.get(name, 0)} in the plan" for name in sorted(wrong)
    ]


def _without_plan(spark: SparkSession, path: str) -> list[str]:
    return [
        f"version {entry.version}: {entry.operation} changed data and carries no plan"
        for entry in delta.history(spark, path)
        if entry.operation not in NO_DATA and Plan.parse(entry.user_metadata) is None
    ]


def _repeated_keys(rows: DataFrame) -> int:
    keys = rows.columns[: rows.columns.index("event_time")]
    named = [f"`{key}`" for key in keys]
    scored = rows.where("outcome = 'scored'")
    return scored.groupBy(*named).count().where("count > 1").count()


def _partitions(
    spark: SparkSession, job: Job, rows: DataFrame, plans: Sequence[Plan], state: kafka.TopicState
) -> tuple[Partition, ...]:
    assert job.stream is not None and job.kafka is not None
    topic = job.stream.topic
    committed: dict[int, tuple[int, int]] = {}
    for plan in plans:
        assert isinstance(plan.input, Offsets)
        for partition, (start, until) in plan.input.ranges.get(topic, {}).items():
            committed[partition] = (committed.get(partition, (start, until))[0], until)
    readable = {
        p: (max(start, state.earliest.get(p, 0)), until)
        for p, (start, until) in committed.items()
        if max(start, state.earliest.get(p, 0)) < until
    }
    at = (F.col("source.partition").alias("partition"), F.col("source.offset").alias("offset"))
    own = rows.where(F.col("source.topic") == topic).select(*at)
    found = _compared(spark, job, own, readable)
    return tuple(
        _partition(p, committed[p], found.get(p, {}), state, whole=readable.get(p) == committed[p])
        for p in sorted(committed)
    )


def _compared(
    spark: SparkSession, job: Job, own: DataFrame, readable: dict[int, tuple[int, int]]
) -> dict[int, dict[str, int]]:
    assert job.stream is not None and job.kafka is not None
    in_table = own.groupBy("partition", "offset").count().withColumnRenamed("count", "times")
    empty = spark.createDataFrame([], "partition int, offset bigint")
    broker = (
        kafka.between(spark, job.kafka, {job.stream.topic: readable}).select(
            F.col("__partition").alias("partition"), F.col("__offset").alias("offset")
        )
        if readable
        else empty
    )
    floor = F.lit(0)
    for partition, (start, _) in readable.items():
        floor = F.when(F.col("partition") == partition, start).otherwise(floor)
    both = in_table.join(broker.withColumn("there", F.lit(True)), ["partition", "offset"], "full")
    checkable = F.col("offset") >= floor
    counted = both.groupBy("partition").agg(
        F.count_if(F.col("there").isNotNull()).alias("records"),
        F.coalesce(F.sum("times"), F.lit(0)).alias("rows"),
        F.count_if(F.col("times").isNull()).alias("missing"),
        F.count_if(F.col("times") > 1).alias("doubled"),
        F.count_if(F.col("there").isNull() & checkable).alias("unaccounted"),
    )
    return {row["partition"]: row.asDict() for row in counted.collect()}


def _partition(
    partition: int, span: tuple[int, int], found: dict[str, int], state: kafka.TopicState, *, whole: bool
) -> Partition:
    return Partition(
        partition=partition,
        start=span[0],
        until=span[1],
        records=found.get("records", 0) if whole or span[0] == span[1] else None,
        rows=found.get("rows", 0),
        missing=found.get("missing", 0),
        doubled=found.get("doubled", 0),
        unaccounted=found.get("unaccounted", 0),
        waiting=max(0, state.latest.get(partition, span[1]) - span[1]),
    )
