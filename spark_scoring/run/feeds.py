"""Feeds: the tables that a stream keeps fresh from their own topics, one append per micro-batch."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyspark.sql.functions as F
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import delta, delta_upkeep, delta_write
from spark_scoring.io.causes import cause_of
from spark_scoring.io.delta_log import Version
from spark_scoring.io.delta_write import Transaction
from spark_scoring.io.json import parsed
from spark_scoring.io.sources import schema_of
from spark_scoring.run import takeover
from spark_scoring.run.faults import protected
from spark_scoring.run.insist import insisting
from spark_scoring.spec.job import Job, TableSource, Topic
from spark_scoring.spec.plan import FORMAT, Ranges
from spark_scoring.spec.wide import Columns, Rows, Table, WideTable
from spark_scoring.wide.schema import rejection

log = logging.getLogger(__name__)

OWNER = "spark_scoring.feed_owner"
# Delta clusters by at most four columns, of types whose least and greatest value it keeps for each file
MOST_KEYS = 3
ORDERED = ("string", "date", "timestamp", "tinyint", "smallint", "int", "bigint")
ROWS_A_FILE = 500_000
WRITTEN = {"format", "commit_id", "feed", "offsets", "topic_id"}

Spans = Mapping[int, tuple[int, int]]
Check = Callable[[Version | None], None]


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A table, the topic that it is fed from, and the columns that its rows are kept in order of."""

    table: Table
    topic: Topic
    path: str
    order: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a micro-batch has read: its ranges, and which one it is."""

    generation: str
    batch_id: int
    ranges: Ranges
    topic_ids: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class FeedEnds:
    """partition -> the first offset that is not in the fed table (`good`) or among the rejected (`bad`).

    `table`: the fed table when that was looked up.
    """

    good: Mapping[int, int] = field(default_factory=dict)
    bad: Mapping[int, int] = field(default_factory=dict)
    table: Version | None = None


def feeds_of(spark: SparkSession, job: Job, wide: WideTable) -> tuple[Feed, ...]:
    """The feeds of the tables that the wide table reads."""
    found = []
    for place in job.tables:
        if place.feed is not None and place.name.lower() in {table.name.lower() for table in wide.tables}:
            table = wide.table(place.name)
            order = order_of(wide, table)
            found.append(Feed(table=table, topic=place.feed, path=path_of(spark, place), order=order))
    return tuple(found)


def order_of(wide: WideTable, table: Table) -> tuple[str, ...]:
    """The key columns of the first step that reads the table, then its time: what a step looks for lies together."""
    types = {column.name: column.type for column in table.columns}
    steps = [step for step in wide.steps if not isinstance(step, Columns) and step.table == table.name]
    keys = [right for _, right in (steps[0].on if steps else ()) if types[right] in ORDERED]
    return tuple(dict.fromkeys([*keys[:MOST_KEYS], *([table.time] if table.time else [])]))


def path_of(spark: SparkSession, place: TableSource) -> str:
    """The folder of a fed table, which is a Delta table.

    Raises: RunError: it is another one.
    """
    location = place.source.location
    path = location if place.source.format == "delta" else delta.location_of(spark, location)
    if path is None:
        raise errors.not_pinned(place.name, table=location)
    return path


def claim(spark: SparkSession, job: Job, feed: Feed) -> None:
    """Make the job the owner of the fed table: a table is fed by one job alone.

    A table that nobody owned, partitioned or clustered is clustered by the feed's order.

    Raises: RunError: another job feeds it.
    """
    there = delta_upkeep.layout(spark, feed.path)
    owner = there.properties.get(OWNER)
    if owner is None:
        delta_upkeep.set_property(spark, feed.path, OWNER, job.name)
        if not there.partitioned and not there.clustered:
            _cluster(spark, feed)
    elif owner != job.name:
        raise errors.feed_owned(feed.table.name, owner=owner, job=job.name)


def fence(spark: SparkSession, job: Job, *, generations: Sequence[str], metadata: str) -> None:
    """Let these generations append nothing more to the job's fed tables, and to what they rejected."""
    fed = [(table.name, path_of(spark, table)) for table in job.tables if table.feed is not None]
    places = [*fed, *[(name, rejected_of(job)) for name, _ in fed]]
    there = [(name, path) for name, path in places if delta.is_table(spark, path)]
    for name, path in there if protected("fence") else ():
        known = delta.transactions(spark, path, prefix=f"{job.name}:")
        for app in (takeover.feed_app_id(job.name, generation, name) for generation in generations):
            if known.get(app, 0) < takeover.LAST:
                takeover.fence(spark, path, app=app, metadata=metadata)


def read_until(spark: SparkSession, table: TableSource, *, job: Job, topic_id: str) -> dict[int, int]:
    """partition -> the first offset that the fed table does not hold, by its own log."""
    return _until(spark, path_of(spark, table), table.name, job=job, topic_id=topic_id)


def ends_of(spark: SparkSession, feed: Feed, *, job: Job, topic_id: str) -> FeedEnds:
    """How far the feed was read, by the logs of its table and of what it rejected."""
    table = delta.version_of(spark, feed.path)
    found = [_until(spark, path, feed.table.name, job=job, topic_id=topic_id) for path in (feed.path, rejected_of(job))]
    return FeedEnds(good=found[0], bad=found[1], table=table)


def append(records: DataFrame, feed: Feed, *, job: Job, read: Read, ends: FeedEnds, check: Check) -> None:
    """Append the good records of the feed's topic to its table, the bad ones to `state/feed_rejected`, both once.

    Records below `ends` are there already: a generation that was replaced read them before its last commit. `check`
    raises if the fed table, as it is before, is not to be written to.
    """
    if all(start == until for start, until in read.ranges.get(feed.topic.topic, {}).values()):
        return
    frame = _checked(records, feed).persist()
    try:
        _append_both(frame, feed, job=job, read=read, ends=ends, check=check)
    finally:
        frame.unpersist()


def _append_both(frame: DataFrame, feed: Feed, *, job: Job, read: Read, ends: FeedEnds, check: Check) -> None:
    good, spans = _beyond(frame.where("__rejected is null"), feed, read, ends.good)
    good = good.select(*[f"`{c.name}`" for c in feed.table.columns])
    good = _in_order(good, feed, records=sum(until - start for start, until in spans.values()))
    _append_once(good, feed.path, feed, job=job, read=read, spans=spans, check=check)
    bad, spans = _beyond(frame.where("__rejected is not null"), feed, read, ends.bad)
    if not bad.isEmpty():
        bad = bad.select(*_rejection(feed, f"{job.name}/{read.generation}/{read.batch_id}"))
        _append_once(bad, rejected_of(job), feed, job=job, read=read, spans=spans)


def rejected_of(job: Job) -> str:
    """The table of the feeds' rejected records."""
    return f"{job.state}/feed_rejected"


def _cluster(spark: SparkSession, feed: Feed) -> None:
    try:
        delta_upkeep.cluster_by(spark, feed.path, feed.order)
    except AnalysisException as error:
        # a table that lies in another order is as right, and only slower to read
        log.warning("%s: not clustered by %s: %s", feed.table.name, ", ".join(feed.order), cause_of(error))


def _in_order(frame: DataFrame, feed: Feed, *, records: int) -> DataFrame:
    """The same rows as few files will hold them, each in the feed's order."""
    columns, files = [f"`{name}`" for name in feed.order], 1 + records // ROWS_A_FILE
    placed = frame.repartition(1) if files == 1 else frame.repartitionByRange(files, *columns)
    return placed.sortWithinPartitions(*columns)


def _append_once(
    frame: DataFrame, path: str, feed: Feed, *, job: Job, read: Read, spans: Spans, check: Check = lambda _: None
) -> None:
    if all(start >= until for start, until in spans.values()):
        return
    app = takeover.feed_app_id(job.name, read.generation, feed.table.name)
    done = delta.last_transaction(frame.sparkSession, path, app) if protected("feed_txn") else None
    if done is not None and done >= read.batch_id:
        return
    txn = Transaction(app_id=app, version=read.batch_id) if protected("feed_txn") else None
    about = _metadata(feed, job=job, read=read, spans=spans)
    # None: another process of the same generation was faster, and what it appended is the same
    insisting(
        feed.table.name,
        lambda: delta_write.append_once(frame, path, txn=txn, metadata=about, partition_by=(), check=check),
    )


def _beyond(frame: DataFrame, feed: Feed, read: Read, ends: Mapping[int, int]) -> tuple[DataFrame, Spans]:
    """The records that are not there yet, and the ranges they lie in."""
    ranges = read.ranges.get(feed.topic.topic, {})
    if not protected("feed_ends"):
        return frame, ranges
    spans = {p: (max(a, ends.get(p, 0)), max(b, ends.get(p, 0))) for p, (a, b) in ranges.items()}
    for partition, (start, _) in spans.items():
        if start > ranges[partition][0]:
            frame = frame.where((F.col("__partition") != partition) | (F.col("__offset") >= start))
    return frame, spans


def _until(spark: SparkSession, path: str, table: str, *, job: Job, topic_id: str) -> dict[int, int]:
    for entry in delta.newest_first(spark, path):
        about = about_of(entry.user_metadata, table)
        if about is not None and about["commit_id"].startswith(f"{job.name}/"):
            if about["topic_id"] != topic_id:
                return {}
            (spans,) = about["offsets"].values()
            return {int(partition): span[1] for partition, span in spans.items()}
    return {}


def about_of(metadata: str | None, table: str) -> dict[str, Any] | None:
    """What an append to a fed table says of itself in its `userMetadata`; None for other commits."""
    about = _about(metadata)
    return about if about.get("feed") == table else None


def is_feeds(metadata: str | None) -> bool:
    """Whether a commit says of itself that it is an append by a feed, to whichever table."""
    return bool(_about(metadata))


def _about(metadata: str | None) -> dict[str, Any]:
    try:
        about = json.loads(metadata or "")
    except ValueError:
        return {}
    # any writer may call a key "feed"
    known = isinstance(about, dict) and about.get("format") == FORMAT and about.keys() >= WRITTEN
    return about if known else {}


def _checked(records: DataFrame, feed: Feed) -> DataFrame:
    own = records.where(F.col("__topic") == feed.topic.topic)
    row = parsed(own.sparkSession, F.col("__raw"), schema_of(feed.table.columns), feed.topic)
    frame = own.withColumn("__row", row).select("__topic", "__partition", "__offset", "__timestamp", "__raw", "__row.*")
    # a time that is null or far away is kept: such a row of a table matches nothing
    contract = Rows(key=(), time="", columns=feed.table.columns)
    return frame.selectExpr("*", f"{rejection(frame.columns, rows=contract)} as __rejected")


def _metadata(feed: Feed, *, job: Job, read: Read, spans: Spans) -> str:
    about = {
        "format": FORMAT,
        "commit_id": f"{job.name}/{read.generation}/{read.batch_id}",
        "feed": feed.table.name,
        "offsets": {feed.topic.topic: {str(p): list(bounds) for p, bounds in sorted(spans.items())}},
        "topic_id": read.topic_ids[feed.topic.topic],
    }
    return json.dumps(about, sort_keys=True)


def _rejection(feed: Feed, commit_id: str) -> list[Column]:
    source = ("topic", "partition", "offset", "timestamp")
    return [
        F.lit(feed.table.name).alias("feed"),
        F.struct(*[F.col(f"__{name}").alias(name) for name in source]).alias("source"),
        F.col("__rejected.code").alias("reason"),
        F.col("__rejected.detail").alias("reason_detail"),
        F.col("__raw").alias("raw"),
        F.lit(commit_id).alias("commit_id"),
    ]
