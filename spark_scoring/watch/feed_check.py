"""The feeds' part of verify: every feed record that a commit covers is in the fed table or among the rejected, once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring.io import delta, kafka
from spark_scoring.run.feeds import about_of, is_feeds, path_of, rejected_of
from spark_scoring.run.takeover import Accepted
from spark_scoring.spec.job import Job, TableSource
from spark_scoring.spec.plan import Offsets, Plan

Spans = dict[int, tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class FeedVerdict:
    """One feed: the records of its topic in appended ranges (`None`: the broker dropped some) and where they are.

    `others`: versions of the fed table since the first append by which somebody else changed rows, which is no break:
    a table may be corrected, and lose its oldest rows.
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
    spark: SparkSession, job: Job, table: TableSource, plans: Sequence[Plan], accepted: Sequence[Accepted]
) -> FeedVerdict:
    """Compare the fed table's log with the ranges of the commits, and its rows with the broker's records."""
    assert table.feed is not None and job.kafka is not None
    topic = table.feed.topic
    path, bad_path = path_of(spark, table), rejected_of(job)
    log, bad_log = delta.history(spark, path), delta.history(spark, bad_path)
    appends, bad = _appends(log, table.name, job=job), _appends(bad_log, table.name, job=job)
    changed = [f"feed_rejected, {one}" for one in _others(spark, bad_path, bad_log)]
    state = kafka.topic_states(spark, job.kafka, [topic])[topic]
    appends, bad = ([one for one in found if one.topic_id == state.topic_id] for found in (appends, bad))
    # a log that has expired knows nothing of the oldest commits
    whole = bool(log) and log[-1].version == 0
    losses = [one for one in accepted if one.topic == topic]
    until = _ends(appends)
    covered = [plan for plan in plans if _topic_id(plan, topic) == state.topic_id]
    missing = [f"{plan.commit_id}: not in the log of {table.name}" for plan in covered if _beyond(plan, topic, until)]
    return FeedVerdict(
        table=table.name,
        topic=topic,
        commits=len(appends),
        records=_records(spark, job, topic, appends, state),
        rows=sum(one.rows for one in appends),
        rejected=sum(one.rows for one in bad),
        broken=(*_not_continued(appends, losses), *(missing if whole else ()), *changed),
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


def _appends(log: Iterable[delta.Entry], table: str, *, job: Job) -> list[_Append]:
    """Oldest first."""
    found = []
    for entry in log:
        about = about_of(entry.user_metadata, table)
        if about is not None and about["commit_id"].startswith(f"{job.name}/"):
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


def _ends(appends: Iterable[_Append]) -> dict[int, int]:
    return {p: until for one in appends for p, (_, until) in one.spans.items()}


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


def _topic_id(plan: Plan, topic: str) -> str | None:
    return plan.input.topic_ids.get(topic) if isinstance(plan.input, Offsets) else None


def _beyond(plan: Plan, topic: str, until: Mapping[int, int]) -> bool:
    assert isinstance(plan.input, Offsets)
    spans = plan.input.ranges.get(topic, {}).items()
    return any(start < end and end > until.get(partition, 0) for partition, (start, end) in spans)


def _records(
    spark: SparkSession, job: Job, topic: str, appends: Sequence[_Append], state: kafka.TopicState
) -> int | None:
    assert job.kafka is not None
    first: dict[int, int] = {}
    for one in appends:
        for partition, (start, _) in one.spans.items():
            first.setdefault(partition, start)
    until = _ends(appends)
    spans = {p: (first[p], until[p]) for p in first if first[p] < until[p]}
    if not spans:
        return 0
    if any(state.earliest.get(p, 0) > start for p, (start, _) in spans.items()):
        return None
    return kafka.between(spark, job.kafka, {topic: spans}).count()
