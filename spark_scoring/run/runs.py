"""Batch runs on record: the one plan of a run and what it has done, in `state/runs/<run id>.json`."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import sources
from spark_scoring.io.sources import Pin
from spark_scoring.models.udf import ScoredModel
from spark_scoring.run import check, inputs, records
from spark_scoring.run.inputs import ROWS, Tables
from spark_scoring.run.records import Record
from spark_scoring.spec.job import Job, Source
from spark_scoring.spec.plan import Interval, Plan, Settings, iso
from spark_scoring.spec.sources import public_spelling


@dataclass(frozen=True, kw_only=True)
class Span:
    """[start, end) of event time, UTC, and the length of one commit."""

    start: datetime
    end: datetime
    cut: timedelta


@dataclass(frozen=True, kw_only=True)
class Run:
    """A batch run: its span, its pinned inputs, the commits made so far."""

    run_id: str
    span: Span
    base: Plan
    rows: Pin
    tables: Tables
    models: tuple[ScoredModel, ...]
    done: tuple[Plan, ...] = ()

    def plan(self, commit_id: str, bounds: tuple[datetime, datetime] | None) -> Plan:
        """The plan of one commit of this run."""
        return replace(self.base, commit_id=commit_id, input=Interval(bounds=bounds, version=self.rows.version))


def begin(spark: SparkSession, job: Job, rows: Source, *, span: Span, clock: datetime) -> Run:
    """A new run, with everything it reads pinned as it is now."""
    pinned = sources.pin(spark, rows, name=ROWS)
    models = inputs.load_models(spark, job)
    # before the run is on record: what cannot be planned leaves nothing behind
    check.analyse(spark, job, models, target=str(job.output.batch), rows=rows)
    tables = inputs.pin_tables(spark, job, inputs.one_wide(models))
    base = Plan(
        commit_id=job.name,
        clock=clock,
        input=Interval(bounds=(span.start, span.end), version=pinned.version),
        tables=tables.versions,
        table_ids=sources.ids_of({**tables.pins, ROWS: pinned}),
        models=inputs.model_pins(models),
        settings=Settings(keep=job.output.keep),
    )
    run = Run(run_id=records.new_id(clock), span=span, base=base, rows=pinned, tables=tables, models=models)
    _write(spark, job, run, finished=False)
    return run


def resume(spark: SparkSession, job: Job, rows: Source, *, span: Span) -> Run:
    """The job's newest unfinished run of the same interval and output, with what its plan pinned.

    Raises: RunError: there is no such run, or what it pinned is gone.
    """
    like = {"interval": [iso(span.start), iso(span.end)], "output": _output(job)}
    found = records.newest_unfinished(spark, _folder(job), of=job.name, like=like)
    if found is None:
        raise errors.nothing_to_resume(job.path, interval=f"{iso(span.start)}..{iso(span.end)}")
    return _continued(spark, job, rows, found)


def record(spark: SparkSession, job: Job, run: Run, plan: Plan) -> Run:
    """The run with one more commit done, written down."""
    further = replace(run, done=(*run.done, plan))
    _write(spark, job, further, finished=False)
    return further


def finish(spark: SparkSession, job: Job, run: Run) -> None:
    """Write down that nothing of the run is left to do."""
    _write(spark, job, run, finished=True)


def _folder(job: Job) -> str:
    return f"{job.state}/runs"


def _output(job: Job) -> str:
    return public_spelling(str(job.output.batch))


def _continued(spark: SparkSession, job: Job, rows: Source, found: Record) -> Run:
    saved = found.saved
    base = Plan.unpack(saved["plan"])
    assert isinstance(base.input, Interval) and base.input.bounds is not None
    pinned = inputs.pin_rows(spark, rows, base, place=saved.get("rows"), run_id=found.run_id)
    models = inputs.load_pinned(spark, job, base.models)
    tables = inputs.pin_tables(spark, job, inputs.one_wide(models))
    start, end = base.input.bounds
    return Run(
        run_id=found.run_id,
        span=Span(start=start, end=end, cut=timedelta(seconds=saved["cut_s"])),
        base=base,
        rows=pinned,
        tables=inputs.at_versions(tables, base),
        models=models,
        done=tuple(Plan.unpack(plan) for plan in saved["done"]),
    )


def _write(spark: SparkSession, job: Job, run: Run, *, finished: bool) -> None:
    saved = {
        "interval": [iso(run.span.start), iso(run.span.end)],
        "cut_s": run.span.cut.total_seconds(),
        "output": _output(job),
        "rows": inputs.place_of(run.rows.source),
        "finished": finished,
        "plan": run.base.pack(),
        "done": [plan.pack() for plan in run.done],
    }
    records.write(spark, _folder(job), Record(run_id=run.run_id, saved=saved))
