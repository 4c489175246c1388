"""The feeds' part of verify: every feed record that a commit covers is in the fed table or among the rejected, once."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring.io import delta, kafka
from spark_scoring.run.feeds import path_of
from spark_scoring.spec.job import Job, TableSource
from spark_scoring.spec.plan import Offsets, Plan, Ranges

Appends = dict[str, tuple[dict[str, Any], int]]


@dataclass(frozen=True, kw_only=True)
class FeedVerdict:
    """One feed: the records of its topic in committed ranges (`None`: the broker dropped some) and where they are."""

    table: str
    topic: str
    commits: int
    records: int | None
    rows: int
    rejected: int
    broken: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether each record is in exactly one place."""
        return not self.broken and self.records in (None, self.rows + self.rejected)


def check_feed(spark: SparkSession, job: Job, table: TableSource, plans: Sequence[Plan]) -> FeedVerdict:
    """Compare the fed table's log with the ranges of the commits, and its rows with the broker's records."""
    assert table.feed is not None
    topic, log = table.feed.topic, delta.history(spark, path_of(spark, table))
    entries = [(about, entry.rows_written) for entry in log if (about := _about(entry.user_metadata, table.name))]
    times = Counter(about["commit_id"] for about, _ in entries)
    appends: Appends = {about["commit_id"]: (about, rows) for about, rows in entries}
    covered = {plan.commit_id: _ranges(plan, topic) for plan in plans}
    begun = {name: ranges for name, ranges in covered.items() if any(a < b for a, b in ranges.values())}
    # a log that has expired knows nothing of the oldest commits
    whole = bool(log) and log[-1].version == 0
    broken = [f"{name}: appended {count} times" for name, count in times.items() if count > 1]
    broken += [f"{name}: not in the log of {table.name}" for name in begun if whole and name not in appends]
    broken += [
        f"{name}: appended other offsets" for name in begun if name in appends and _differs(appends[name], begun[name])
    ]
    known = {name: ranges for name, ranges in begun.items() if name in appends}
    return FeedVerdict(
        table=table.name,
        topic=topic,
        commits=len(known),
        records=_records(spark, job, topic, known),
        rows=sum(appends[name][1] for name in known),
        rejected=_rejected(spark, job, table.name, known),
        broken=tuple(broken),
    )


def _about(metadata: str | None, table: str) -> dict[str, Any] | None:
    try:
        about = json.loads(metadata or "")
    except ValueError:
        return None
    return about if isinstance(about, dict) and about.get("feed") == table else None


def _ranges(plan: Plan, topic: str) -> dict[int, tuple[int, int]]:
    return dict(plan.input.ranges.get(topic, {})) if isinstance(plan.input, Offsets) else {}


def _differs(appended: tuple[dict[str, Any], int], ranges: dict[int, tuple[int, int]]) -> bool:
    (spans,) = appended[0]["offsets"].values()
    return {int(partition): tuple(span) for partition, span in spans.items()} != ranges


def _records(spark: SparkSession, job: Job, topic: str, known: dict[str, dict[int, tuple[int, int]]]) -> int | None:
    assert job.kafka is not None
    spans = [item for ranges in known.values() for item in ranges.items()]
    if not spans:
        return 0
    first = {p: min(a for q, (a, _) in spans if q == p) for p, _ in spans}
    until = {p: max(b for q, (_, b) in spans if q == p) for p, _ in spans}
    earliest = kafka.topic_states(spark, job.kafka, [topic])[topic].earliest
    if any(earliest.get(p, 0) > start for p, start in first.items()):
        return None
    whole: Ranges = {topic: {p: (first[p], until[p]) for p in first}}
    return kafka.between(spark, job.kafka, whole).count()


def _rejected(spark: SparkSession, job: Job, table: str, known: dict[str, Any]) -> int:
    path = f"{job.state}/feed_rejected"
    if not delta.is_table(spark, path):
        return 0
    rows = spark.read.format("delta").load(path)
    return rows.where((rows.feed == table) & rows.commit_id.isin(list(known))).count()
