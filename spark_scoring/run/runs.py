"""Batch runs on record: the one plan of a run and what it has done, in `state/runs/<run id>.json`."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import files, sources
from spark_scoring.io.sources import Pin
from spark_scoring.models.udf import ScoredModel
from spark_scoring.run import check, inputs
from spark_scoring.run.inputs import Tables
from spark_scoring.spec.job import Job, Source
from spark_scoring.spec.plan import Interval, Plan, iso


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
    pinned = sources.pin(spark, rows, name="rows.batch")
    models = inputs.load_models(spark, job)
    # before the run is on record: what cannot be planned leaves nothing behind
    check.analyse(spark, job, models, target=str(job.output.batch), rows=rows)
    tables = inputs.pin_tables(spark, job, inputs.one_wide(models))
    base = Plan(
        commit_id=job.name,
        clock=clock,
        input=Interval(bounds=(span.start, span.end), version=pinned.version),
        tables=tables.versions,
        models=inputs.model_pins(models),
    )
    run_id = f"{clock:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    run = Run(run_id=run_id, span=span, base=base, rows=pinned, tables=tables, models=models)
    _write(spark, job, run, finished=False)
    return run


def resume(spark: SparkSession, job: Job, rows: Source, *, span: Span) -> Run:
    """The newest unfinished run of the same interval, with what its plan pinned.

    Raises: RunError: there is no such run, or what it pinned is gone.
    """
    folder = f"{job.state}/runs"
    for name in reversed([n for n in files.list_names(spark, folder) if n.endswith(".json")]):
        saved = json.loads(files.read_text(spark, f"{folder}/{name}") or "{}")
        if saved["interval"] == [iso(span.start), iso(span.end)] and not saved["finished"]:
            return _continued(spark, job, rows, saved=saved, run_id=name.removesuffix(".json"))
    raise errors.nothing_to_resume(job.path, interval=f"{iso(span.start)}..{iso(span.end)}")


def record(spark: SparkSession, job: Job, run: Run, plan: Plan) -> Run:
    """The run with one more commit done, written down."""
    further = replace(run, done=(*run.done, plan))
    _write(spark, job, further, finished=False)
    return further


def finish(spark: SparkSession, job: Job, run: Run) -> None:
    """Write down that nothing of the run is left to do."""
    _write(spark, job, run, finished=True)


def _continued(spark: SparkSession, job: Job, rows: Source, *, saved: Mapping[str, Any], run_id: str) -> Run:
    base = Plan.unpack(saved["plan"])
    assert isinstance(base.input, Interval) and base.input.bounds is not None
    models = inputs.load_pinned(spark, job, base.models)
    tables = inputs.pin_tables(spark, job, inputs.one_wide(models))
    start, end = base.input.bounds
    return Run(
        run_id=run_id,
        span=Span(start=start, end=end, cut=timedelta(seconds=saved["cut_s"])),
        base=base,
        rows=sources.at(sources.pin(spark, rows, name="rows.batch"), base.input.version),
        tables=inputs.at_versions(tables, base.tables),
        models=models,
        done=tuple(Plan.unpack(plan) for plan in saved["done"]),
    )


def _write(spark: SparkSession, job: Job, run: Run, *, finished: bool) -> None:
    saved = {
        "interval": [iso(run.span.start), iso(run.span.end)],
        "cut_s": run.span.cut.total_seconds(),
        "finished": finished,
        "plan": run.base.pack(),
        "done": [plan.pack() for plan in run.done],
    }
    files.write_text(spark, f"{job.state}/runs/{run.run_id}.json", json.dumps(saved, indent=1))
