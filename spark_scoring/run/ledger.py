"""The output table's own log as the ledger of a stream: what was committed, and what must follow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import delta
from spark_scoring.spec.plan import Offsets, Plan, Ranges

Ends = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit of the output table and the plan in it."""

    entry: delta.Entry
    plan: Plan


def commits(spark: SparkSession, path: str, *, job: str) -> tuple[Commit, ...]:
    """All commits of the job that the log still holds, oldest first, each commit id once (its newest)."""
    found: dict[str, Commit] = {}
    for entry in delta.history(spark, path):
        plan = Plan.parse(entry.user_metadata)
        if plan is not None and plan.commit_id.startswith(f"{job}/"):
            found.setdefault(plan.commit_id, Commit(entry=entry, plan=plan))
    return tuple(sorted(found.values(), key=lambda commit: commit.entry.version))


def stream_commits(spark: SparkSession, path: str, *, job: str) -> tuple[Commit, ...]:
    """The job's commits that came from Kafka, oldest first."""
    return tuple(c for c in commits(spark, path, job=job) if isinstance(c.plan.input, Offsets))


def generation_of(plan: Plan) -> str:
    """The generation in `<job>/<generation>/<batch id>`."""
    return plan.commit_id.split("/")[-2]


def ends(plans: Iterable[Plan]) -> dict[str, dict[int, int]]:
    """topic -> partition -> the first offset that no commit holds yet."""
    until: dict[str, dict[int, int]] = {}
    for plan in plans:
        assert isinstance(plan.input, Offsets)
        for topic, spans in plan.input.ranges.items():
            for partition, (_, end) in spans.items():
                until.setdefault(topic, {})[partition] = end
    return until


def check_continues(done: Ends, ranges: Ranges, *, job: str) -> None:
    """The ranges begin where the ledger ends; a partition that is new to it begins at 0.

    Raises: StateError: records would be skipped or scored twice.
    """
    for topic, spans in ranges.items():
        for partition, (start, _) in spans.items():
            expected = done.get(topic, {}).get(partition, 0)
            if start != expected:
                raise errors.offsets_do_not_continue(f"{topic}[{partition}]", expected=expected, given=start, job=job)
