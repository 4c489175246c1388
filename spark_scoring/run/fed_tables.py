"""Fed tables that are gone, or whose place another table has taken: what was fed to them is not there any more."""

from collections.abc import Iterator, Mapping

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import delta
from spark_scoring.io.broker import TopicState
from spark_scoring.io.delta_log import Version
from spark_scoring.run import feeds
from spark_scoring.run.feeds import Feed
from spark_scoring.run.ledger import Standing
from spark_scoring.run.takeover import Accepted
from spark_scoring.spec.job import Job


def as_read(known: Standing, table: str) -> Version | None:
    """The table as the newest commit read it; None where none says it, or somebody has recovered the stream since."""
    if known.newest is None or known.takeover is not None:
        return None
    ids = {name.lower(): table_id for name, table_id in known.newest.table_ids.items()}
    numbers = {name.lower(): number for name, number in known.newest.tables.items()}
    table_id, number = ids.get(table.lower()), numbers.get(table.lower())
    return None if table_id is None or number is None else Version(number=number, table_id=table_id)


def check(feed: Feed, there: Version | None, *, before: Version | None, job: Job) -> None:
    """Nothing, if the table that is there is the one that it was before, or nobody knows which that was.

    Raises: StateError.
    """
    if before is not None and (there is None or not there.follows(before)):
        raise errors.fed_table_taken_away(job.path, table=feed.table.name, path=feed.path)


def lost(
    spark: SparkSession, job: Job, known: Standing, *, states: Mapping[str, TopicState],
    ends: Mapping[str, Mapping[int, int]],
) -> Iterator[Accepted]:  # fmt: skip
    """What was fed up to `ends` to tables that are gone or are others now, and is not in the log of what is there."""
    for table in job.tables:
        if table.feed is None or (before := as_read(known, table.name)) is None:
            continue
        topic, path = table.feed.topic, feeds.path_of(spark, table)
        there = delta.version_of(spark, path)
        if there is not None and there.follows(before):
            continue
        held = feeds.read_until(spark, table, job=job, topic_id=states[topic].topic_id)
        for partition, until in ends.get(topic, {}).items():
            if (start := held.get(partition, 0)) < until:
                yield Accepted(
                    what="loss", topic=topic, partition=partition, start=start, until=until, table=table.name
                )
