"""Verify: every offset that the stream committed is in the output exactly once, against the broker itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import broker, delta, kafka
from spark_scoring.run import ledger
from spark_scoring.run.takeover import Takeover
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Offsets, Plan, Replay
from spark_scoring.watch import interval_check, lane_check, ledger_check
from spark_scoring.watch.feed_check import FeedVerdict, check_feed
from spark_scoring.watch.lane_check import Scored


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition of the rows topic: committed offsets [start, until), and what was found of them.

    `records`: of the broker (`None`: it no longer holds all of the range). `missing`: not in the output.
    `doubled`: more than once. `unaccounted`: in the output, but not in the broker or not in a committed range.
    `removed`: gone from the broker before the stream read them. `waiting`: in the broker, not committed yet.
    """

    partition: int
    start: int
    until: int
    records: int | None
    rows: int
    missing: int
    doubled: int
    unaccounted: int
    removed: int
    waiting: int

    @property
    def holds(self) -> bool:
        """Whether every record is in exactly one place."""
        return self.missing == self.doubled == self.unaccounted == self.removed == 0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What `verify` found: the partitions, and each break of the ledger in words.

    `accepted`: the losses and new topics that somebody accepted when recovering, who and why. `log_begins`: the
    version that the table's log begins with where older entries have expired; of those commits only offsets are
    checked. `repeated_keys`: keys that were scored more than once at one event time, which is no break.
    """

    commits: int
    partitions: tuple[Partition, ...] = ()
    feeds: tuple[FeedVerdict, ...] = ()
    broken: tuple[str, ...] = field(default=())
    accepted: tuple[str, ...] = ()
    log_begins: int | None = None
    repeated_keys: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, doubled or unaccounted."""
        parts = [*(part.holds for part in self.partitions), *(feed.holds for feed in self.feeds)]
        return not self.broken and all(parts)


def verify_stream(spark: SparkSession, job: Job) -> Verdict:
    """Compare the output of a stream with its own log and with the broker; what has expired by its rows alone.

    Raises: ConfigError: the job has no stream. RunError: there are no commits, or the broker does not answer.
    """
    if job.stream is None or job.kafka is None or job.output.stream is None:
        raise errors.missing_part(job.path, part="rows.stream, kafka and output.stream", command="verify")
    log = delta.history(spark, job.output.stream)
    commits = [c for c in ledger.commits_in(log, job=job.name) if isinstance(c.plan.input, Offsets | Replay)]
    takeovers = ledger.takeovers_in(log, job=job.name)
    if not (commits or takeovers or ledger.has_rows(spark, job.output.stream, job=job.name)):
        raise errors.no_commits(job.output.stream, job=job.name)
    # a stream may go on meanwhile
    rows = delta.read_version(spark, job.output.stream, log[0].version)
    plans = [commit.plan for commit in commits if isinstance(commit.plan.input, Offsets)]
    expired = log[-1].version > 0
    state = broker.topic_states(spark, job.kafka, [job.stream.topic])[job.stream.topic]
    lane = lane_check.scored(spark, job, plans, state)
    accepted = [one for takeover in takeovers.values() for one in takeover.accepted]
    return Verdict(
        commits=len(commits),
        partitions=_partitions(
            spark, job, rows, plans, state, begun=_begun(job, takeovers, state), expired=expired, lane=lane
        ),
        feeds=tuple(
            check_feed(spark, job, table, plans, accepted, expired=expired) for table in job.tables if table.feed
        ),
        broken=(
            *ledger_check.created_again(job, plans, takeovers, state),
            *([] if expired else ledger_check.made_anew(plans, takeovers)),
            *ledger_check.gaps(commits, takeovers),
            *ledger_check.counts(rows, commits, expired=expired),
            *map(ledger_check.said, ledger.unplanned(spark, job.output.stream, log)),
        ),
        accepted=tuple(ledger_check.accepted(takeovers.values())),
        log_begins=log[-1].version if expired else None,
        repeated_keys=_repeated_keys(rows),
    )


def verify_batch(spark: SparkSession, job: Job) -> Verdict:
    """Check that every change of the batch output carries its plan, and count keys seen more than once at one time.

    A change without a plan, as a RESTORE or a DELETE, is no break any more once all that was there before it was scored
    again.
    """
    if job.output.batch is None:
        raise errors.missing_part(job.path, part="output.batch", command="verify")
    log = delta.history(spark, job.output.batch)
    commits = ledger.commits_in(log, job=job.name)
    if not (commits or ledger.has_rows(spark, job.output.batch, job=job.name)):
        raise errors.no_commits(job.output.batch, job=job.name)
    rows = delta.read_version(spark, job.output.batch, log[0].version)
    rows = rows.where(F.col("commit_id").startswith(f"{job.name}/"))
    expired = log[-1].version > 0
    known = {commit.plan.commit_id for commit in commits}
    standing = [row["commit_id"] for row in rows.select("commit_id").distinct().collect()]
    broken = [f"rows of commit {name}, which the log does not hold" for name in standing if name not in known]
    return Verdict(
        commits=len(commits),
        broken=(
            *([] if expired else broken),
            *interval_check.unhealed(spark, job.output.batch, log, commits=commits, standing=standing),
        ),
        log_begins=log[-1].version if expired else None,
        repeated_keys=_repeated_keys(rows),
    )


def verify(spark: SparkSession, job: Job) -> dict[str, Verdict]:
    """A verdict for each side of the job, `stream` and `batch`, that has made commits, be their log there or not.

    Raises: RunError: there are none, or the broker does not answer.
    """
    sides = {"stream": (job.output.stream, verify_stream), "batch": (job.output.batch, verify_batch)}
    tables = {side: (path, check) for side, (path, check) in sides.items() if path is not None}
    found = {
        side: check(spark, job)
        for side, (path, check) in tables.items()
        if ledger.commits(spark, path, job=job.name) or ledger.has_rows(spark, path, job=job.name)
    }
    if not found:
        raise errors.no_commits(" and ".join(path for path, _ in tables.values()), job=job.name)
    return found


def _repeated_keys(rows: DataFrame) -> int:
    # a key may come again at another time, as in a snapshot for each day
    keys = rows.columns[: rows.columns.index("event_time") + 1]
    named = [f"`{key}`" for key in keys]
    scored = rows.where("outcome = 'scored'")
    return scored.groupBy(*named).count().where("count > 1").count()


def _partitions(
    spark: SparkSession,
    job: Job,
    rows: DataFrame,
    plans: Sequence[Plan],
    state: broker.TopicState,
    *,
    begun: Mapping[int, int],
    expired: bool,
    lane: Scored | None,
) -> tuple[Partition, ...]:
    """Of the topic that there is now: what was read of one before it, no broker can tell any more."""
    assert job.stream is not None and job.kafka is not None
    own = rows.where((F.col("source.topic") == job.stream.topic) & (F.col("source.topic_id") == state.topic_id))
    own = own.select(F.col("source.partition").alias("partition"), F.col("source.offset").alias("offset"))
    committed = _committed(plans, job.stream.topic, state)
    if expired:
        for row in (
            own.groupBy("partition").agg(F.min("offset").alias("least"), F.max("offset").alias("most")).collect()
        ):
            start, until = committed.get(row["partition"], (row["least"], row["most"] + 1))
            committed[row["partition"]] = (min(start, row["least"]), until)
    landed = {p: until for p, (_, until) in committed.items()}
    for p, (start, until) in (lane.reached if lane else {}).items():
        # scored, so that it must be in the table or on its way there
        start, end = committed.get(p, (start, start))
        committed[p] = (start, max(end, until))
    readable = {
        p: (max(start, state.earliest.get(p, 0)), until)
        for p, (start, until) in committed.items()
        if max(start, state.earliest.get(p, 0)) < until
    }
    found = _compared(spark, job, own, readable, coming=lane.places if lane else None)
    return tuple(
        _partition(
            p,
            committed[p],
            found.get(p, {}),
            state,
            goes_on=max(landed.get(p, committed[p][0]), begun.get(p, 0)),
            whole=readable.get(p) == committed[p],
        )
        for p in sorted(committed)
    )


def _begun(job: Job, takeovers: Mapping[int, Takeover], state: broker.TopicState) -> Mapping[int, int]:
    """Where the newest takeover let each partition go on."""
    assert job.stream is not None
    topic = job.stream.topic
    same = [one for one in takeovers.values() if one.topic_ids.get(topic) == state.topic_id]
    return same[-1].ends.get(topic, {}) if same else {}


def _committed(plans: Sequence[Plan], topic: str, state: broker.TopicState) -> dict[int, tuple[int, int]]:
    committed: dict[int, tuple[int, int]] = {}
    for plan in plans:
        assert isinstance(plan.input, Offsets)
        if plan.input.topic_ids.get(topic) == state.topic_id:
            for partition, (start, until) in plan.input.ranges.get(topic, {}).items():
                committed[partition] = (committed.get(partition, (start, until))[0], until)
    return committed


def _compared(
    spark: SparkSession, job: Job, own: DataFrame, readable: dict[int, tuple[int, int]], *, coming: DataFrame | None
) -> dict[int, dict[str, int]]:
    """`coming`: what need not be in the table yet."""
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
    coming = empty if coming is None else coming
    both = both.join(coming.withColumn("coming", F.lit(True)), ["partition", "offset"], "left")
    checkable = F.col("offset") >= floor
    counted = both.groupBy("partition").agg(
        F.count_if(F.col("there").isNotNull()).alias("records"),
        F.coalesce(F.sum("times"), F.lit(0)).alias("rows"),
        F.count_if(F.col("times").isNull() & F.col("coming").isNull()).alias("missing"),
        F.count_if(F.col("times") > 1).alias("doubled"),
        F.count_if(F.col("there").isNull() & checkable).alias("unaccounted"),
    )
    return {row["partition"]: row.asDict() for row in counted.collect()}


def _partition(
    partition: int, span: tuple[int, int], found: dict[str, int], state: broker.TopicState, *, goes_on: int, whole: bool
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
        removed=max(0, state.earliest.get(partition, goes_on) - goes_on),
        waiting=max(0, state.latest.get(partition, goes_on) - max(goes_on, state.earliest.get(partition, 0))),
    )
