"""The feeds' part of verify: every feed record that a commit covers is in the fed table or among the rejected, once."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import pyspark.sql.functions as F
from pyspark.sql import SparkSession

from spark_scoring.io import broker, delta, kafka
from spark_scoring.run.feeds import is_feeds, path_of, rejected_of
from spark_scoring.run.takeover import Accepted
from spark_scoring.spec.job import Job, TableSource
from spark_scoring.spec.plan import Offsets, Plan
from spark_scoring.watch.spans import left_out

Spans = dict[int, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class FeedVerdict:
    """One feed: the records of its topic in appended ranges (`None`: the broker dropped some) and where they are.

    What was appended for a commit that is not made yet is not looked at. `others`: versions of the fed table since the
    first append by which somebody else changed rows, which is no break: a table may be corrected, and lose its oldest
    rows.
    """

    table: str
    topic: str
    commits: int
    records: int | None
    rows: int
    rejected: int
    broken: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether each record is in exactly one place."""
        return not self.broken and self.records in (None, self.rows + self.rejected)


@dataclass(frozen=True, kw_only=True)
class _Append:
    commit_id: str
    topic_id: str
    spans: Spans
    rows: int


def check_feed(
    spark: SparkSession, job: Job, table: TableSource, plans: Sequence[Plan], accepted: Sequence[Accepted], *,
    expired: bool,
) -> FeedVerdict:  # fmt: skip
    """Compare the fed table's log with the ranges of the commits, and its rows with the broker's records.

    `expired`: the oldest plans are no longer known.
    """
    assert table.feed is not None and job.kafka is not None
    topic = table.feed.topic
    path, bad_path = path_of(spark, table), rejected_of(job)
    log, bad_log = delta.history(spark, path), delta.history(spark, bad_path)
    found, bad = _appends(log, topic, job=job), _appends(bad_log, topic, job=job)
    state = broker.topic_states(spark, job.kafka, [topic])[topic]
    old = {one.commit_id for one in (*found, *bad) if one.topic_id != state.topic_id}
    appends = [one for one in found if one.topic_id == state.topic_id]
    read = _read(plans, topic, topic_id=state.topic_id)
    missing = _missing(read, appends, since_ever=not log or log[-1].version == 0)
    done = _done(appends, read) if read or not expired else appends
    spans = _spans(done)
    rejected = _rejected(spark, bad_path, bad_log, job=job, topic=topic, spans=spans)
    return FeedVerdict(
        table=table.name,
        topic=topic,
        commits=len(done),
        records=_records(spark, job, topic, spans, state),
        rows=sum(one.rows for one in done),
        rejected=sum(count for commit_id, count in rejected.items() if commit_id not in old),
        broken=(
            *([f"{table.name}: no table is there"] if missing and not log else []),
            *_not_continued(appends, [one for one in accepted if one.topic == topic]),
            *(f"records {a} to {b} of partition {p} are not in the log of {table.name}" for p, a, b in missing),
            *(f"feed_rejected, {one}" for one in _others(spark, bad_path, bad_log)),
        ),
        others=tuple(_others(spark, path, log)),
    )


def _others(spark: SparkSession, path: str, log: Sequence[delta.Entry]) -> list[str]:
    """What changed rows since the first append by a feed and is none."""
    ours = [entry.version for entry in log if is_feeds(entry.user_metadata)]
    later = [entry for entry in log if ours and entry.version > ours[-1] and entry.version not in ours]
    changes = [
        entry for entry in later if entry.operation != "OPTIMIZE" and delta.changed_rows(spark, path, entry.version)
    ]
    return [f"version {entry.version}: {entry.operation}" for entry in reversed(changes)]


def _appends(log: Iterable[delta.Entry], topic: str, *, job: Job) -> list[_Append]:
    """Oldest first; by the topic, for a table of a job may get another name."""
    found = []
    for entry in log:
        about = json.loads(entry.user_metadata or "") if is_feeds(entry.user_metadata) else {"offsets": {}}
        if topic in about["offsets"] and about["commit_id"].startswith(f"{job.name}/"):
            found.append(_append(about, entry.rows_written))
    return found[::-1]


def _append(about: Mapping[str, Any], rows: int) -> _Append:
    (spans,) = about["offsets"].values()
    return _Append(
        commit_id=about["commit_id"],
        topic_id=about["topic_id"],
        spans={int(p): (span[0], span[1]) for p, span in spans.items()},
        rows=rows,
    )


def _not_continued(appends: Sequence[_Append], losses: Sequence[Accepted]) -> list[str]:
    broken, until = [], dict[int, int]()
    allowed = {(loss.partition, loss.until) for loss in losses}
    for one in appends:
        for partition, (start, end) in one.spans.items():
            expected = until.get(partition, start)
            if start < expected or (start > expected and (partition, start) not in allowed):
                kind = "appended twice" if start < expected else "left out"
                low, high = sorted((start, expected))
                broken.append(f"{one.commit_id}: records {low} to {high} of partition {partition} {kind}")
            until[partition] = max(end, expected)
    return broken


def _read(plans: Iterable[Plan], topic: str, *, topic_id: str) -> dict[int, list[tuple[int, int]]]:
    """partition -> the ranges of the commits."""
    found: dict[int, list[tuple[int, int]]] = {}
    for plan in plans:
        if isinstance(plan.input, Offsets) and plan.input.topic_ids.get(topic) == topic_id:
            for partition, span in plan.input.ranges.get(topic, {}).items():
                found.setdefault(partition, []).append(span)
    return found


def _missing(
    read: Mapping[int, Sequence[tuple[int, int]]], appends: Sequence[_Append], *, since_ever: bool
) -> list[tuple[int, int, int]]:
    """(partition, start, until) of what commits have read and no append holds.

    `since_ever`: nothing of the table's log has expired; else it is asked only for what follows its first append.
    """
    found = []
    for partition, ranges in read.items():
        spans = [one.spans[partition] for one in appends if partition in one.spans]
        if spans or since_ever:
            gone = [] if since_ever else [(0, spans[0][0])]
            found += [(partition, low, high) for low, high in left_out(ranges, [*spans, *gone])]
    return found


def _done(appends: Iterable[_Append], read: Mapping[int, Sequence[tuple[int, int]]]) -> list[_Append]:
    """Those whose records the commits have reached: of others the bad records may not be written yet."""
    ends = {partition: max(until for _, until in ranges) for partition, ranges in read.items()}
    return [one for one in appends if all(until <= ends.get(p, 0) for p, (_, until) in one.spans.items())]


def _spans(appends: Iterable[_Append]) -> Spans:
    """Each partition from its first record to its last."""
    found: Spans = {}
    for one in appends:
        for partition, (start, until) in one.spans.items():
            found[partition] = (found.get(partition, (start, until))[0], until)
    return {partition: span for partition, span in found.items() if span[0] < span[1]}


def _rejected(
    spark: SparkSession, path: str, log: Sequence[delta.Entry], *, job: Job, topic: str, spans: Spans
) -> dict[str, int]:
    """commit id -> how many records of the spans it rejected."""
    if not log or not spans:
        return {}
    at, offset = F.col("source.partition"), F.col("source.offset")
    inside = [(at == p) & (offset >= start) & (offset < until) for p, (start, until) in spans.items()]
    rows = delta.read_version(spark, path, log[0].version).where(F.col("source.topic") == topic)
    rows = rows.where(F.col("commit_id").startswith(f"{job.name}/")).where(reduce(or_, inside))
    return {row["commit_id"]: row["count"] for row in rows.groupBy("commit_id").count().collect()}


def _records(spark: SparkSession, job: Job, topic: str, spans: Spans, state: broker.TopicState) -> int | None:
    assert job.kafka is not None
    if not spans:
        return 0
    if any(state.earliest.get(p, 0) > start for p, (start, _) in spans.items()):
        return None
    return kafka.between(spark, job.kafka, {topic: spans}).count()
