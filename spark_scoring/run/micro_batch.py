"""One micro-batch: from its offsets to one commit of the output table, or to a refusal."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import broker, checkpoint, delta
from spark_scoring.io.json import parsed
from spark_scoring.io.sources import schema_of
from spark_scoring.run import fed_tables, feeds, inputs, ledger, output
from spark_scoring.run.faults import protected, reached
from spark_scoring.run.feeds import Feed, FeedEnds, Read
from spark_scoring.run.generation import checkpoint_of
from spark_scoring.run.ledger import Standing
from spark_scoring.run.once import check_output, commit_once
from spark_scoring.run.prepared import Prepared
from spark_scoring.run.reach import reach_of
from spark_scoring.run.serving import Serving
from spark_scoring.run.topics import check_topics
from spark_scoring.spec.job import Job, Topic
from spark_scoring.spec.plan import Offsets, Plan, Ranges

log = logging.getLogger(__name__)
WIDE, OUTPUT = "wide", "output"


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the micro-batches of a stream share; `feed_ends` by table: how far its feed was read before it began."""

    spark: SparkSession
    job: Job
    generation: str
    feeds: tuple[Feed, ...]
    feed_ends: Mapping[str, FeedEnds]
    now: Callable[[], datetime]
    prepared: Prepared
    watch: broker.Watch


def commit(records: DataFrame, batch_id: int, *, context: Context, known: Standing, serving: Serving) -> Standing:
    """Make the micro-batch's commit unless it stands in the ledger already; the ledger after it.

    Raises: StateError: its offsets do not continue the ledger, another generation has taken over, or the output or a
    fed table is not the one that it was. RunError: a table, feed or topic is not fit, or the brake held.
    """
    job, spark = context.job, context.spark
    ranges = checkpoint.batch_ranges(spark, checkpoint_of(job), batch_id, job=job.path)
    commit_id = f"{job.name}/{context.generation}/{batch_id}"
    if _is_done(known, commit_id, ranges, context=context):
        log.info("%s: in the table already", commit_id)
        return known
    topics = _topics(context, known)
    _check_range(known, ranges, topics, batch_id=batch_id, context=context)
    ids = {name: state.topic_id for name, state in topics.items()}
    # before anything is fed: asked again at the commit
    check_output(job, known, delta.version_of(spark, str(job.output.stream)))
    read = Read(generation=context.generation, batch_id=batch_id, ranges=ranges, topic_ids=ids)
    _append_feeds(records, context, read, known=known)
    tables = inputs.pin_tables(spark, job, inputs.one_wide(serving.models))
    plan = Plan(
        commit_id=commit_id,
        clock=context.now(),
        input=Offsets(ranges=ranges, topic_ids=ids),
        tables=tables.versions,
        table_ids=tables.ids,
        models=inputs.model_pins(serving.models),
        settings=inputs.settings_of(job),
        feed_lag=_feed_lag(context, topics, ranges),
        refused=tuple(name for name, _ in serving.refused),
    )
    known = _write(records, plan, context=context, known=known, serving=serving, tables=tables)
    reached("after_commit")
    assert known.newest is not None
    brake(job, known.newest)
    return known


def _append_feeds(records: DataFrame, context: Context, read: Read, *, known: Standing) -> None:
    for feed in context.feeds:
        ends = context.feed_ends.get(feed.table.name, FeedEnds())
        before = fed_tables.as_read(known, feed.table.name) or ends.table
        check = partial(fed_tables.check, feed, before=before, job=context.job)
        check(delta.version_of(context.spark, feed.path))
        feeds.append(records, feed, job=context.job, read=read, ends=ends, check=check)
    reached("after_feeds")


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
    row = parsed(own.sparkSession, F.col("__raw"), schema_of(wide.rows.columns), topic)
    frame = own.select(row.alias("__row"), source.alias("__source"), "__raw")
    return frame.select("__row.*", "__source", "__raw")


def _rows_topic(job: Job) -> Topic:
    assert job.stream is not None
    return job.stream


def _is_done(known: Standing, commit_id: str, ranges: Ranges, *, context: Context) -> bool:
    if known.newest is None or known.newest.commit_id != commit_id or not protected("ledger"):
        return False
    assert isinstance(known.newest.input, Offsets)
    if known.newest.input.ranges != ranges:
        raise errors.foreign_checkpoint(context.job.path, commit_id=commit_id)
    return True


def _check_range(
    known: Standing, ranges: Ranges, topics: Mapping[str, broker.TopicState], *, batch_id: int, context: Context
) -> None:
    assert context.job.kafka is not None
    if known.begun:
        if protected("ledger"):
            ledger.check_continues(known.ends, ranges, job=context.job.path)
        return
    if batch_id > 0:
        raise errors.lost_output(context.job.path, table=str(context.job.output.stream), batch_id=batch_id)
    if context.job.kafka.start == "earliest":
        for topic, spans in ranges.items():
            for partition, (start, _) in spans.items():
                earliest = topics[topic].earliest.get(partition, start)
                if start > earliest:
                    where = f"{topic}[{partition}]"
                    raise errors.offsets_do_not_continue(where, expected=earliest, given=start, job=context.job.path)


def _topics(context: Context, known: Standing) -> dict[str, broker.TopicState]:
    names = [_rows_topic(context.job).topic, *[feed.topic.topic for feed in context.feeds]]
    found = context.watch.topic_states(names)
    check_topics(known, found, job=context.job.path)
    return found


def _feed_lag(context: Context, topics: Mapping[str, broker.TopicState], ranges: Ranges) -> dict[str, int]:
    lag = {}
    for feed in context.feeds:
        read = ranges.get(feed.topic.topic, {})
        latest = topics[feed.topic.topic].latest
        lag[feed.table.name] = sum(max(0, end - read.get(p, (0, 0))[1]) for p, end in latest.items())
    return lag


def _write(
    records: DataFrame, plan: Plan, *, context: Context, known: Standing, serving: Serving, tables: inputs.Tables
) -> Standing:
    assert isinstance(plan.input, Offsets)
    frame, read_twice = _output(records, plan.input.topic_ids, context=context, serving=serving, tables=tables)
    version = int(plan.commit_id.rsplit("/", 1)[1])
    try:
        return commit_once(
            context.spark, frame, plan, job=context.job, generation=context.generation, version=version,
            known=known, counted=lambda plan, counts: replace(plan, counts=counts),
        )  # fmt: skip
    finally:
        if read_twice is not None:
            read_twice.unpersist()


def _output(
    records: DataFrame, topic_ids: Mapping[str, str], *, context: Context, serving: Serving, tables: inputs.Tables
) -> tuple[DataFrame, DataFrame | None]:
    """The output rows but for their commit, planned anew only if something moved; and rows that are kept till then."""
    prepared, models, pinned = context.prepared, serving.models, None not in tables.versions.values()
    # a model that takes another's place mostly reads the same wide table
    about_wide = (output.wanted_by(models), tables.pins, topic_ids)
    about = (about_wide, serving.uris)
    if (frame := prepared.planned(OUTPUT, records, about=about)) is not None:
        return frame, None
    wide, read_twice = prepared.planned(WIDE, records, about=about_wide), None
    if wide is None:
        rows, at, reach = rows_of(records, context.job, serving=serving, topic_ids=topic_ids), prepared.at(tables), None
        if prepared.needs_reach(tables.wide, at):
            rows = read_twice = rows.persist()
            reach = reach_of(rows, tables.wide, are_few=True)
        wide = output.widened(rows, at, models=models, reach=reach)
        if pinned and reach is None:
            prepared.remember(WIDE, records, wide, about=about_wide)
    frame = output.unstamped(wide, job=context.job, models=models)
    if pinned and read_twice is None:
        prepared.remember(OUTPUT, records, frame, about=about)
    return frame, read_twice


def brake(job: Job, plan: Plan) -> None:
    """Raises: RunError: the commit rejected more than the job allows."""
    rule, counts = job.stop_when, plan.counts
    if rule is None or counts is None or counts.rows < rule.min_rows or not protected("brake"):
        return
    if counts.rejected > rule.rejected_share * counts.rows:
        raise errors.brake(plan.commit_id, rejected=counts.rejected, rows=counts.rows, share=rule.rejected_share)
