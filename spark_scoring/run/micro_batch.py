"""One micro-batch: from its offsets to one commit of the output table, or to a refusal."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import checkpoint, delta, kafka
from spark_scoring.io.json import parsed
from spark_scoring.io.sources import schema_of
from spark_scoring.run import feeds, inputs, ledger, output
from spark_scoring.run.feeds import Feed
from spark_scoring.run.generation import checkpoint_of
from spark_scoring.run.prepared import Prepared
from spark_scoring.run.reach import reach_of
from spark_scoring.run.serving import Serving
from spark_scoring.spec.job import Job, Topic
from spark_scoring.spec.plan import Counts, Offsets, Plan, Ranges

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the micro-batches of a stream share."""

    spark: SparkSession
    job: Job
    generation: str
    feeds: tuple[Feed, ...]
    now: Callable[[], datetime]
    prepared: Prepared


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Where the job's commits stand: the newest plan, and the end offsets of all of them together."""

    newest: Plan | None = None
    ends: Mapping[str, Mapping[int, int]]

    def after(self, plan: Plan) -> "Ledger":
        """The same with one more commit."""
        further = ledger.ends([plan])
        merged = {topic: {**self.ends.get(topic, {}), **spans} for topic, spans in further.items()}
        return Ledger(newest=plan, ends={**self.ends, **merged})


def commit(records: DataFrame, batch_id: int, *, context: Context, known: Ledger, serving: Serving) -> Ledger:
    """Make the micro-batch's commit unless it stands in the ledger already; the ledger after it.

    Raises: StateError: its offsets do not continue the ledger. RunError: a table, feed or topic is not fit, or the
    brake held.
    """
    ranges = checkpoint.batch_ranges(context.spark, checkpoint_of(context.job), batch_id)
    commit_id = f"{context.job.name}/{context.generation}/{batch_id}"
    if _is_done(known, commit_id, ranges, context=context):
        log.info("%s: in the table already", commit_id)
        return known
    topics = _topics(context, known)
    _check_range(known, ranges, batch_id=batch_id, context=context)
    for feed in context.feeds:
        feeds.append(records, feed, job=context.job, generation=context.generation, batch_id=batch_id, ranges=ranges)
    tables = inputs.pin_tables(context.spark, context.job, inputs.one_wide(serving.models))
    plan = Plan(
        commit_id=commit_id,
        clock=context.now(),
        input=Offsets(ranges=ranges, topic_ids={name: state.topic_id for name, state in topics.items()}),
        tables=tables.versions,
        models=inputs.model_pins(serving.models),
        feed_lag=_feed_lag(context, topics, ranges),
        refused=tuple(name for name, _ in serving.refused),
    )
    plan = _write(records, plan, context=context, serving=serving, tables=tables)
    _brake(context.job, plan)
    return known.after(plan)


def rows_of(records: DataFrame, job: Job, *, serving: Serving, topic_ids: Mapping[str, str]) -> DataFrame:
    """Kafka records -> rows as declared, with `__parse`, `__bad`, `__source` and `__raw`."""
    topic = _rows_topic(job)
    wide = inputs.one_wide(serving.models)
    own = records.where(F.col("__topic") == topic.topic)
    source = F.struct(
        F.col("__topic").alias("topic"),
        F.lit(topic_ids[topic.topic]).alias("topic_id"),
        F.col("__partition").alias("partition"),
        F.col("__offset").alias("offset"),
        F.col("__timestamp").alias("timestamp"),
    )
    row = parsed(F.col("__raw"), schema_of(wide.rows.columns), topic)
    frame = own.select(row.alias("__row"), source.alias("__source"), "__raw")
    return frame.select("__row.*", "__source", "__raw")


def _rows_topic(job: Job) -> Topic:
    assert job.stream is not None
    return job.stream


def _is_done(known: Ledger, commit_id: str, ranges: Ranges, *, context: Context) -> bool:
    if known.newest is None or known.newest.commit_id != commit_id:
        return False
    assert isinstance(known.newest.input, Offsets)
    if known.newest.input.ranges != ranges:
        raise errors.foreign_checkpoint(context.job.path, commit_id=commit_id)
    return True


def _check_range(known: Ledger, ranges: Ranges, *, batch_id: int, context: Context) -> None:
    if known.newest is not None:
        ledger.check_continues(known.ends, ranges, job=context.job.path)
    elif batch_id > 0:
        raise errors.lost_output(context.job.path, table=str(context.job.output.stream), batch_id=batch_id)


def _topics(context: Context, known: Ledger) -> dict[str, kafka.TopicState]:
    assert context.job.kafka is not None
    names = [_rows_topic(context.job).topic, *[feed.topic.topic for feed in context.feeds]]
    found = kafka.topic_states(context.spark, context.job.kafka, names)
    if known.newest is not None and isinstance(known.newest.input, Offsets):
        before = known.newest.input.topic_ids
        for name, state in found.items():
            if before.get(name, state.topic_id) != state.topic_id:
                raise errors.topic_created_again(name, job=context.job.path)
    return found


def _feed_lag(context: Context, topics: Mapping[str, kafka.TopicState], ranges: Ranges) -> dict[str, int]:
    lag = {}
    for feed in context.feeds:
        read = ranges.get(feed.topic.topic, {})
        latest = topics[feed.topic.topic].latest
        lag[feed.table.name] = sum(max(0, end - read.get(p, (0, 0))[1]) for p, end in latest.items())
    return lag


def _write(records: DataFrame, plan: Plan, *, context: Context, serving: Serving, tables: inputs.Tables) -> Plan:
    assert isinstance(plan.input, Offsets) and context.job.output.stream is not None
    rows = rows_of(records, context.job, serving=serving, topic_ids=plan.input.topic_ids).persist()
    reach = reach_of(rows, tables.wide)
    frame = output.scored(
        rows, context.prepared.at(tables), job=context.job, models=serving.models, plan=plan, reach=reach
    ).persist()
    try:
        plan = replace(plan, counts=_counts(frame))
        delta.append_once(
            frame,
            context.job.output.stream,
            app_id=f"{context.job.name}:{context.generation}",
            txn_version=int(plan.commit_id.rsplit("/", 1)[1]),
            metadata=plan.dump(),
            partition_by=output.PARTITIONS,
        )
    finally:
        frame.unpersist()
        rows.unpersist()
    return plan


def _counts(frame: DataFrame) -> Counts:
    by_outcome = {row["outcome"]: row["count"] for row in frame.groupBy("outcome").count().collect()}
    scored, rejected = by_outcome.get("scored", 0), by_outcome.get("rejected", 0)
    return Counts(rows=scored + rejected, scored=scored, rejected=rejected)


def _brake(job: Job, plan: Plan) -> None:
    rule, counts = job.stop_when, plan.counts
    if rule is None or counts is None or counts.rows < rule.min_rows:
        return
    if counts.rejected > rule.rejected_share * counts.rows:
        raise errors.brake(plan.commit_id, rejected=counts.rejected, rows=counts.rows, share=rule.rejected_share)
