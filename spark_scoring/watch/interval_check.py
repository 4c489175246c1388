"""The intervals' part of verify: whether runs since have healed what somebody else did to a batch output."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pyspark.sql import SparkSession

from spark_scoring.io import delta
from spark_scoring.run import ledger
from spark_scoring.run.ledger import Commit
from spark_scoring.spec.plan import Interval
from spark_scoring.watch import ledger_check
from spark_scoring.watch.spans import left_out

Times = tuple[datetime, datetime]
MOMENT = timedelta(microseconds=1)


def unhealed(
    spark: SparkSession, path: str, log: Sequence[delta.Entry], *, commits: Sequence[Commit], standing: Iterable[str]
) -> list[str]:
    """The changes without a plan since which not all rows of before were scored again. `standing`: of these commits
    there are rows."""
    changes = list(ledger.unplanned(spark, path, log))
    if not changes:
        return []
    known = {commit.plan.commit_id: commit.entry.version for commit in commits}
    newest = [commit.plan.commit_id for commit in commits[-1:]]
    # of a commit that the log no longer holds nothing is newer
    felt = {name: known.get(name, -1) for name in (*newest, *standing, *_not_replaced(spark, path, commits))}
    oldest = min(felt, key=felt.__getitem__)
    return [
        f"{ledger_check.said(change)}; {oldest} was not scored again since"
        for change in changes
        if change.version > felt[oldest]
    ]


def _not_replaced(spark: SparkSession, path: str, commits: Sequence[Commit]) -> list[str]:
    """The commits that wrote rows in whose place no newer ones have written.

    An interval without rows makes no commit, so that a run is known by its first and last one. That of the rows
    without a time is left out: each run scores all of them again.
    """
    found, runs = list[str](), dict[datetime, Times]()
    for commit in reversed(commits):
        bounds = commit.plan.input.bounds if isinstance(commit.plan.input, Interval) else None
        if bounds is None:
            continue
        if left_out([bounds], runs.values()) and left_out(_written(spark, path, commit, bounds), runs.values()):
            found.append(commit.plan.commit_id)
        start, end = runs.get(commit.plan.clock, bounds)
        runs[commit.plan.clock] = min(start, bounds[0]), max(end, bounds[1])
    return found


def _written(spark: SparkSession, path: str, commit: Commit, bounds: Times) -> list[Times]:
    """From the first to the last row in each file of the commit; other rows of the files that it replaced lie beyond
    its interval."""
    files = delta.spreads_at(spark, path, commit.entry.version, column="event_time")
    if files is None:
        return [bounds]
    return [(low, high + MOMENT) for low, high in files if bounds[0] <= low and high < bounds[1]]
