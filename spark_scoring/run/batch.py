"""The batch runner: an interval of event time, cut into commits, all of them after one plan."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, Observation, SparkSession

from spark_scoring import errors
from spark_scoring.io import delta, delta_write, sources
from spark_scoring.run import inputs, ledger, output, runs
from spark_scoring.run.faults import protected, reached
from spark_scoring.run.insist import insisting
from spark_scoring.run.prepared import Prepared
from spark_scoring.run.reach import Reach
from spark_scoring.run.runs import Run, Span
from spark_scoring.run.target import check_owner
from spark_scoring.spec.job import Job, Source
from spark_scoring.spec.nouns import Rows
from spark_scoring.spec.plan import Counts, Interval, Plan, iso
from spark_scoring.wide.frames import EPOCH, MICROSECOND, at, column, micros

UNDATED = "event_date is null and event_time is null"

Progress = Callable[[Plan], None]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a run wrote: its id, and the plans of its commits with their counts."""

    run_id: str
    plans: tuple[Plan, ...]

    @property
    def counts(self) -> Counts:
        """The counts of all commits together."""
        each = [plan.counts for plan in self.plans if plan.counts]
        scored, rejected = sum(c.scored for c in each), sum(c.rejected for c in each)
        return Counts(rows=sum(c.rows for c in each), scored=scored, rejected=rejected)


def score(
    spark: SparkSession,
    job: Job,
    *,
    span: Span,
    clock: datetime,
    allow_empty: bool = False,
    resume: bool = False,
    progress: Progress = lambda _: None,
) -> Result:
    """Score the rows with event times in the span, one commit per `span.cut`, and those without a time.

    Running it again writes the same rows in the same places. With `resume` the newest unfinished run of the same
    span goes on after its own plan. `progress` is told of each commit, on a resume first of those made before.

    Raises: ConfigError: the job has no batch rows or output. RunError: a source, table or model is not fit, or an
    interval that has rows in the output would be emptied, or the rows without a time by a source without any row, or
    another run has written what was to be resumed.
    """
    if job.batch is None or job.output.batch is None:
        raise errors.missing_part(job.path, part="rows.batch and output.batch", command="score")
    begun = (
        _resumed(spark, job, job.batch, span=span, target=job.output.batch)
        if resume
        else runs.begin(spark, job, job.batch, span=span, clock=clock)
    )
    job, pins = inputs.as_planned(job, begun.base), (begun.rows, *begun.tables.pins.values())
    with closing(Prepared(spark=spark)) as prepared, sources.readable(spark, pins):
        runner = _Runner(
            spark=spark, job=job, run=begun, target=str(job.output.batch), allow_empty=allow_empty, prepared=prepared
        )
        run = begun
        reached("batch_planned")
        for plan in run.done:
            progress(plan)
        for plan in _to_do(job, begun):
            made = runner.commit(plan)
            reached("interval_committed")
            run = runs.record(spark, job, run, made)
            progress(run.done[-1])
        undated = None if resume and _undated_since(spark, job, run) else runner.commit_undated()
    runs.finish(spark, job, run)
    return Result(run_id=run.run_id, plans=(*run.done, *([undated] if undated else [])))


def cuts(span: Span) -> Iterator[tuple[datetime, datetime]]:
    """The span in pieces that begin at whole multiples of `cut` since 1970, UTC."""
    start = span.start
    while start < span.end:
        # the least of the two first: a cut may end after the year 9999
        until = EPOCH + min(span.end - EPOCH, ((start - EPOCH) // span.cut + 1) * span.cut)
        yield start, until
        start = until


def in_interval(rows: Rows, start: datetime, end: datetime) -> Column:
    """Whether a row is one of the interval's: its time is there, and in `time_range` too."""
    time, (low, high) = column(rows.time), rows.time_range
    # texts: a datetime as a literal of py4j is another day before 1582-10-15, in Java's Julian calendar
    return F.expr(f"{time} >= {at(micros(max(start, low)))} and {time} < {at(micros(min(end, high)))}")


def without_time(rows: Rows) -> Column:
    """Whether a row is of no interval: it has no event time in the output."""
    time, (low, high) = column(rows.time), rows.time_range
    return F.expr(f"{time} is null or {time} < {at(micros(low))} or {time} >= {at(micros(high))}")


def still_done(
    spark: SparkSession, path: str, *, done: Mapping[str, int], run_id: str, base: Plan, span: Span
) -> frozenset[str]:
    """Of a run's commits, id -> rows, those that stand in the table as they were made.

    What is older than a change without a plan, such as a DELETE or RESTORE, may not. An interval without rows has no
    commit.

    Raises: RunError: another run, of any job, has a newer plan, or has written there since this one began to.
    """
    log = delta.history(spark, path)
    made = [commit for commit in ledger.commits_in(log, job=None) if _in_span(commit.plan, span)]
    own = {commit.plan.commit_id: commit.entry.version for commit in made if _is_of(commit.plan, base)}
    first = min(own.values(), default=float("inf"))
    others = [commit for commit in made if not _is_of(commit.plan, base)]
    if any(commit.plan.clock > base.clock or commit.entry.version > first for commit in others):
        raise errors.overtaken(path, run_id=run_id)
    since = takewhile(lambda entry: not own or entry.version > first, log)
    if changed := next(ledger.unplanned(spark, path, since), None):
        return frozenset(name for name in done if own.get(name, -1) > changed.version)
    return frozenset(name for name, rows in done.items() if name in own or not rows)


def _is_of(plan: Plan, base: Plan) -> bool:
    return plan.clock == base.clock and plan.commit_id.startswith(f"{base.commit_id}/")


def _in_span(plan: Plan, span: Span) -> bool:
    bounds = plan.input.bounds if isinstance(plan.input, Interval) else None
    return bounds is not None and bounds[0] < span.end and span.start < bounds[1]


def _resumed(spark: SparkSession, job: Job, rows: Source, *, span: Span, target: str) -> Run:
    """The run that goes on, without the commits that the output no longer holds as they were: they are made again.

    Raises: RunError: there is none, or another run has written there since, or the output is not the batch's.
    """
    check_owner(spark, target, job=job.name, kind=ledger.BATCH)
    run = runs.resume(spark, job, rows, span=span)
    done = {plan.commit_id: plan.counts.rows if plan.counts else 0 for plan in run.done}
    still = still_done(spark, target, done=done, run_id=run.run_id, base=run.base, span=run.span)
    return replace(run, done=tuple(plan for plan in run.done if plan.commit_id in still))


def _undated_since(spark: SparkSession, job: Job, run: Run) -> bool:
    """Whether a run with a newer plan, of any interval, has made the commit of the rows without a time."""
    made = ledger.commits(spark, str(job.output.batch), job=job.name)
    return any(one.plan.commit_id == f"{job.name}/undated" and one.plan.clock > run.base.clock for one in made)


def _to_do(job: Job, run: Run) -> Iterator[Plan]:
    done = {plan.commit_id for plan in run.done}
    for start, end in cuts(run.span):
        plan = run.plan(f"{job.name}/{iso(start)}..{iso(end)}", (start, end))
        if plan.commit_id not in done:
            yield plan


@dataclass(frozen=True, kw_only=True)
class _Runner:
    spark: SparkSession
    job: Job
    run: Run
    target: str
    allow_empty: bool
    prepared: Prepared

    def commit(self, plan: Plan) -> Plan:
        assert isinstance(plan.input, Interval) and plan.input.bounds is not None
        start, end = plan.input.bounds
        rows = self._rows().where(in_interval(self.run.tables.wide.rows, start, end))
        predicate = _between(start, end)
        if not self.allow_empty and rows.isEmpty() and self._holds(predicate):
            raise errors.would_empty(plan.commit_id, target=self.target)
        return self._write(plan, rows, predicate=predicate, reach=Reach(times=(start, end)))

    def commit_undated(self) -> Plan | None:
        """The commit of the rows that have no usable event time; none where there are none and were none."""
        low, _ = self.run.tables.wide.rows.time_range
        rows = self._rows().where(without_time(self.run.tables.wide.rows))
        plan = self.run.plan(f"{self.job.name}/undated", None)
        if rows.isEmpty():
            if not self._holds(UNDATED):
                return None
            if not self.allow_empty and self._rows().isEmpty():
                raise errors.would_empty(plan.commit_id, target=self.target)
        return self._write(plan, rows, predicate=UNDATED, reach=Reach(times=(low, low + MICROSECOND)))

    def _rows(self) -> DataFrame:
        wide = self.run.tables.wide
        return output.from_table(sources.read_rows(self.spark, self.run.rows, columns=wide.rows.columns), wide)

    def _holds(self, predicate: str) -> bool:
        if not delta.is_table(self.spark, self.target):
            return False
        return not self.spark.read.format("delta").load(self.target).where(predicate).isEmpty()

    def _write(self, plan: Plan, rows: DataFrame, *, predicate: str, reach: Reach) -> Plan:
        return insisting(plan.commit_id, lambda: self._attempt(plan, rows, predicate=predicate, reach=reach))

    def _attempt(self, plan: Plan, rows: DataFrame, *, predicate: str, reach: Reach) -> Plan:
        tables = self.prepared.at(self.run.tables)
        frame = output.scored(rows, tables, job=self.job, models=self.run.models, plan=plan, reach=reach)
        seen = Observation()
        good = F.count_if(F.col("outcome") == "scored")
        frame = frame.observe(seen, F.count(F.lit(1)).alias("rows"), good.alias("scored"))
        metadata = plan.dump()
        if protected("replace_where"):
            delta_write.replace_where(
                frame, self.target, predicate=predicate, metadata=metadata, partition_by=output.PARTITIONS
            )
        else:
            delta_write.append_once(frame, self.target, txn=None, metadata=metadata, partition_by=output.PARTITIONS)
        counted, scored = seen.get["rows"], seen.get["scored"]
        return replace(plan, counts=Counts(rows=counted, scored=scored, rejected=counted - scored))


def _between(start: datetime, end: datetime) -> str:
    # event_date too: two runs on different dates then never conflict
    last = (end - timedelta(microseconds=1)).date()
    return (
        f"event_date >= date'{start.date()}' and event_date <= date'{last}'"
        f" and event_time >= timestamp'{iso(start)}' and event_time < timestamp'{iso(end)}'"
    )
