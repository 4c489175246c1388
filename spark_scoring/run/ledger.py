"""The output table's own log as the ledger of a stream: what was committed, and what must follow."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pyspark.sql.functions as F
from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.errors import RunError
from spark_scoring.io import delta
from spark_scoring.io.delta_log import Version
from spark_scoring.run.takeover import Takeover
from spark_scoring.spec.plan import Interval, Offsets, Plan, Ranges, Replay

# operations that are known to leave the rows alone, so that nobody looks what they did; others may or may not
NO_DATA = (
    "OPTIMIZE", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "CREATE TABLE",
    "CHANGE COLUMN", "ADD COLUMNS", "ADD CONSTRAINT", "UPGRADE PROTOCOL", "COMPUTE STATS", "CLUSTER BY",
)  # fmt: skip
# no file is written anew, and columns are gone all the same
LOSE_COLUMNS = ("DROP COLUMNS", "RENAME COLUMN", "REPLACE COLUMNS")
Ends = Mapping[str, Mapping[int, int]]
BATCH, STREAM = "batch", "stream"


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit of the output table and the plan in it."""

    entry: delta.Entry
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a stream stands: its newest commit, the generation that may go on, and where its offsets end.

    `takeover`: the newest one, if no commit came after it. `table`: the output at its newest version that is known,
    None where there is none. `expired`: the job has committed, and the log no longer says what.
    """

    newest: Plan | None = None
    takeover: Takeover | None = None
    ends: Ends = field(default_factory=dict)
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    table: Version | None = None
    expired: bool = False

    @property
    def there(self) -> bool:
        """Whether there is an output table."""
        return self.table is not None

    @property
    def generation(self) -> str | None:
        """The generation that may go on; None where none has begun."""
        if self.takeover is not None:
            return self.takeover.generation
        return None if self.newest is None else generation_of(self.newest)

    @property
    def begun(self) -> bool:
        """Whether the ledger says where to go on."""
        return self.generation is not None

    def after(self, plan: Plan, *, table: Version | None) -> "Standing":
        """The same with one more commit, which left the table so."""
        assert isinstance(plan.input, Offsets)
        merged = {topic: {**self.ends.get(topic, {}), **spans} for topic, spans in ends([plan]).items()}
        return replace(
            self, newest=plan, takeover=None, table=table, ends={**self.ends, **merged},
            topic_ids={**self.topic_ids, **plan.input.topic_ids},
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose an output is: a job, and whether its `batch` or its `stream` writes it; None where only rows tell."""

    job: str
    kind: str | None = None


def commits(spark: SparkSession, path: str, *, job: str) -> tuple[Commit, ...]:
    """All commits of the job that the log still holds, oldest first, each commit id once (its newest)."""
    return commits_in(delta.history(spark, path), job=job)


def scored_commits(spark: SparkSession, path: str, *, job: str) -> tuple[Commit, ...]:
    """The job's commits of records from Kafka, replays of rejected ones included, oldest first."""
    return tuple(c for c in commits(spark, path, job=job) if isinstance(c.plan.input, Offsets | Replay))


def commits_in(log: Iterable[delta.Entry], *, job: str | None) -> tuple[Commit, ...]:
    """The job's commits among the entries, which come newest first; None for those of all jobs. See `commits`."""
    found: dict[str, Commit] = {}
    for entry in log:
        if (plan := _plan_of(entry, job)) is not None:
            found.setdefault(plan.commit_id, Commit(entry=entry, plan=plan))
    return tuple(sorted(found.values(), key=lambda commit: commit.entry.version))


def unplanned(spark: SparkSession, path: str, log: Iterable[delta.Entry]) -> Iterator[delta.Entry]:
    """The changes of data that nobody of ours made, as a DELETE or RESTORE does, in the order of the log."""
    for entry in log:
        ours = Plan.parse(entry.user_metadata) is not None or Takeover.parse(entry.user_metadata) is not None
        if not ours and entry.operation not in NO_DATA and _changes(spark, path, entry):
            yield entry


def plans_in(log: Iterable[delta.Entry], *, job: str) -> Iterator[Plan]:
    """The job's plans among the entries, in their order."""
    return filter(None, (_plan_of(entry, job) for entry in log))


def takeovers_in(log: Iterable[delta.Entry], *, job: str) -> dict[int, Takeover]:
    """version -> the job's takeover that it is."""
    found = {entry.version: Takeover.parse(entry.user_metadata) for entry in log}
    return {version: one for version, one in sorted(found.items()) if one is not None and one.job == job}


def standing(spark: SparkSession, path: str, *, job: str) -> Standing:
    """Where the stream of the job stands, by the newest entries of the table's log."""
    # asked for before the log is read: what comes meanwhile is newer
    if not delta.is_table(spark, path) or (table := delta.version_of(spark, path)) is None:
        return Standing()
    found = _standing(delta.newest_first(spark, path), job=job, table=table)
    if found.begun:
        return found
    # an id that was noted for a generation outlives the log, unless delta.setTransactionRetentionDuration is set
    noted = bool(delta.transactions(spark, path, prefix=f"{job}:"))
    return replace(found, expired=noted or has_rows(spark, path, job=job, where="source is not null"))


def has_rows(spark: SparkSession, path: str, *, job: str, where: str = "true") -> bool:
    """Whether the table holds rows of the job, whatever its log says."""
    if not delta.is_table(spark, path):
        return False
    frame = spark.read.format("delta").load(path)
    # another's table is told so elsewhere
    if not {"commit_id", "source"} <= set(frame.columns):
        return False
    return not frame.where(F.col("commit_id").startswith(f"{job}/")).where(where).isEmpty()


def owner_of(spark: SparkSession, path: str) -> Owner | None:
    """Who made the newest commit of the table, by its log or, where that has expired, by a row; else None."""
    if not delta.is_table(spark, path):
        return None
    if found := next(filter(None, map(_owner_in, delta.newest_first(spark, path))), None):
        return found
    row = spark.read.format("delta").load(path).select("commit_id").where("commit_id is not null").first()
    return None if row is None else Owner(job=str(row["commit_id"]).split("/")[0])


def without_plans(spark: SparkSession, path: str, *, job: str) -> RunError:
    """What there is to say of a table that has no plan of the job: the log has expired, or it never made a commit."""
    return (errors.plans_expired if has_rows(spark, path, job=job) else errors.no_commits)(path, job=job)


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


def _standing(entries: Iterable[delta.Entry], *, job: str, table: Version) -> Standing:
    """From the newest entry back to the newest commit, each takeover on the way counted."""
    takeovers: list[Takeover] = []
    for entry in entries:
        plan, takeover = _plan_of(entry, job), Takeover.parse(entry.user_metadata)
        if takeover is not None and takeover.job == job:
            takeovers.append(takeover)
        if plan is not None and isinstance(plan.input, Offsets):
            known = Standing().after(plan, table=table)
            break
    else:
        known = Standing(table=table)
    return _taken(known, takeovers[0]) if takeovers else known


def _changes(spark: SparkSession, path: str, entry: delta.Entry) -> bool:
    return entry.operation in LOSE_COLUMNS or delta.changed_rows(spark, path, entry.version)


def _plan_of(entry: delta.Entry, job: str | None) -> Plan | None:
    plan = Plan.parse(entry.user_metadata)
    return plan if plan is not None and (job is None or plan.commit_id.startswith(f"{job}/")) else None


def _owner_in(entry: delta.Entry) -> Owner | None:
    plan, takeover = Plan.parse(entry.user_metadata), Takeover.parse(entry.user_metadata)
    if plan is not None:
        kind = BATCH if isinstance(plan.input, Interval) else STREAM
        return Owner(job=plan.commit_id.split("/")[0], kind=kind)
    return None if takeover is None else Owner(job=takeover.job, kind=STREAM)


def _taken(known: Standing, takeover: Takeover) -> Standing:
    # the newest says of every topic where it goes on
    return replace(known, takeover=takeover, ends=takeover.ends, topic_ids={**known.topic_ids, **takeover.topic_ids})
