"""Feeds: the tables that a stream keeps fresh from their own topics, one append per micro-batch."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import pyspark.sql.functions as F
from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import delta
from spark_scoring.io.causes import cause_of
from spark_scoring.io.json import parsed
from spark_scoring.io.sources import schema_of
from spark_scoring.spec.job import Job, TableSource, Topic
from spark_scoring.spec.plan import Ranges
from spark_scoring.spec.wide import Columns, Rows, Table, WideTable
from spark_scoring.wide.schema import rejection

log = logging.getLogger(__name__)

OWNER = "spark_scoring.feed_owner"
# Delta clusters by at most four columns, of types whose least and greatest value it keeps for each file
MOST_KEYS = 3
ORDERED = ("string", "date", "timestamp", "tinyint", "smallint", "int", "bigint")
ROWS_A_FILE = 500_000


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A table, the topic that it is fed from, and the columns that its rows are kept in order of."""

    table: Table
    topic: Topic
    path: str
    order: tuple[str, ...]


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
    there = delta.layout(spark, feed.path)
    owner = there.properties.get(OWNER)
    if owner is None:
        delta.set_property(spark, feed.path, OWNER, job.name)
        if not there.partitioned and not there.clustered:
            _cluster(spark, feed)
    elif owner != job.name:
        raise errors.feed_owned(feed.table.name, owner=owner, job=job.name)


def append(records: DataFrame, feed: Feed, *, job: Job, generation: str, batch_id: int, ranges: Ranges) -> None:
    """Append the good records of the feed's topic to its table, the bad ones to `state/feed_rejected`, both once."""
    span = ranges.get(feed.topic.topic, {})
    if all(start == until for start, until in span.values()):
        return
    about = _metadata(feed, job=job, generation=generation, batch_id=batch_id, span=span)
    frame = _checked(records, feed).persist()
    good = frame.where("__rejected is null").select(*[f"`{c.name}`" for c in feed.table.columns])
    good = _in_order(good, feed, records=sum(until - start for start, until in span.values()))
    bad = frame.where("__rejected is not null").select(*_rejection(feed, f"{job.name}/{generation}/{batch_id}"))
    app = f"{job.name}:{generation}:feed:{feed.table.name}"
    _append_once(good, feed.path, app_id=app, batch_id=batch_id, about=about)
    if not bad.isEmpty():
        _append_once(bad, f"{job.state}/feed_rejected", app_id=app, batch_id=batch_id, about=about)
    frame.unpersist()


def _cluster(spark: SparkSession, feed: Feed) -> None:
    try:
        delta.cluster_by(spark, feed.path, feed.order)
    except AnalysisException as error:
        # a table that lies in another order is as right, and only slower to read
        log.warning("%s: not clustered by %s: %s", feed.table.name, ", ".join(feed.order), cause_of(error))


def _in_order(frame: DataFrame, feed: Feed, *, records: int) -> DataFrame:
    """The same rows as few files will hold them, each in the feed's order."""
    columns, files = [f"`{name}`" for name in feed.order], 1 + records // ROWS_A_FILE
    placed = frame.repartition(1) if files == 1 else frame.repartitionByRange(files, *columns)
    return placed.sortWithinPartitions(*columns)


def _append_once(frame: DataFrame, path: str, *, app_id: str, batch_id: int, about: str) -> None:
    done = delta.last_transaction(frame.sparkSession, path, app_id)
    if done is None or done < batch_id:
        delta.append_once(frame, path, app_id=app_id, txn_version=batch_id, metadata=about, partition_by=())


def _checked(records: DataFrame, feed: Feed) -> DataFrame:
    own = records.where(F.col("__topic") == feed.topic.topic)
    row = parsed(F.col("__raw"), schema_of(feed.table.columns), feed.topic)
    frame = own.withColumn("__row", row).select("__topic", "__partition", "__offset", "__timestamp", "__raw", "__row.*")
    # a time that is null or far away is kept: such a row of a table matches nothing
    contract = Rows(key=(), time="", columns=feed.table.columns)
    return frame.selectExpr("*", f"{rejection(frame.columns, rows=contract)} as __rejected")


def _metadata(feed: Feed, *, job: Job, generation: str, batch_id: int, span: Mapping[int, tuple[int, int]]) -> str:
    about = {
        "format": 1,
        "commit_id": f"{job.name}/{generation}/{batch_id}",
        "feed": feed.table.name,
        "offsets": {feed.topic.topic: {str(p): list(bounds) for p, bounds in sorted(span.items())}},
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
