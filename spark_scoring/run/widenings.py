"""Widenings on record: what one reads, pinned, and what it has written, in `state/runs/widen/<run id>.json`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import sources
from spark_scoring.io.sources import Pin
from spark_scoring.run import actuals, inputs, records
from spark_scoring.run.actuals import PinnedActual
from spark_scoring.run.inputs import ROWS, Tables
from spark_scoring.run.records import Record
from spark_scoring.run.runs import Span
from spark_scoring.spec.actuals import Actual
from spark_scoring.spec.job import Job, Source
from spark_scoring.spec.plan import Interval, ModelPin, Plan, iso
from spark_scoring.spec.wide import WideTable

Pairs = tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Rows read = rows written + rejected + immature + ambiguous. `without_actual` counts nulls among those written."""

    read: int
    rows: int
    rejected: Pairs
    immature: int
    ambiguous: int
    without_actual: Pairs


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One commit of a training set."""

    commit_id: str
    counts: Counted


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a training set is to be; without `wide` it is the champion's wide table."""

    rows: Source
    wide: WideTable | None
    actuals: tuple[Actual, ...]
    span: Span
    out: str


@dataclass(frozen=True, kw_only=True)
class Widening:
    """A training set in the making: its span, its pinned inputs, the commits made so far."""

    run_id: str
    span: Span
    out: str
    base: Plan
    rows: Pin
    tables: Tables
    actuals: tuple[PinnedActual, ...]
    done: tuple[Piece, ...] = ()

    @property
    def wide(self) -> WideTable:
        """The wide table that is written."""
        return self.tables.wide

    def plan(self, commit_id: str, bounds: tuple[datetime, datetime]) -> Plan:
        """The plan of one commit."""
        return replace(self.base, commit_id=commit_id, input=Interval(bounds=bounds, version=self.rows.version))


def begin(spark: SparkSession, job: Job, asked: Asked, *, clock: datetime) -> Widening:
    """A new one, with everything it reads pinned as it is now; not yet on record."""
    wide, models = _champions(spark, job) if asked.wide is None else (asked.wide, ())
    tables = inputs.pin_tables(spark, job, wide)
    pinned = actuals.pin_actuals(spark, asked.actuals, job=job.path)
    rows = sources.pin(spark, asked.rows, name=ROWS)
    pins = {**tables.pins, **actuals.pins(pinned)}
    base = Plan(
        commit_id=_name(job),
        clock=clock,
        input=Interval(bounds=(asked.span.start, asked.span.end), version=rows.version),
        tables=sources.versions_of(pins),
        table_ids=sources.ids_of({**pins, ROWS: rows}),
        models=models,
    )
    return Widening(
        run_id=records.new_id(clock),
        span=asked.span,
        out=asked.out,
        base=base,
        rows=rows,
        tables=tables,
        actuals=pinned,
    )


def resume(spark: SparkSession, job: Job, asked: Asked) -> Widening:
    """The job's newest unfinished one of the same interval, table, actuals and (where one is given) wide table.

    Raises: RunError: there is none, or what it pinned is gone.
    """
    like: dict[str, Any] = {"out": asked.out, "actuals": [actual.pack() for actual in asked.actuals]}
    like |= {"interval": [iso(asked.span.start), iso(asked.span.end)]}
    like |= {} if asked.wide is None else {"wide": asked.wide.pack()}
    found = records.newest_unfinished(spark, _folder(job), of=_name(job), like=like)
    if found is None:
        raise errors.nothing_to_resume(
            job.path, interval=f"{like['interval'][0]}..{like['interval'][1]} to {asked.out}"
        )
    return _continued(spark, job, asked, found)


def write(spark: SparkSession, job: Job, widening: Widening, *, finished: bool) -> None:
    """Write down how far it is."""
    span = widening.span
    saved = {
        "interval": [iso(span.start), iso(span.end)],
        "cut_s": span.cut.total_seconds(),
        "out": widening.out,
        "rows": inputs.place_of(widening.rows.source),
        "wide": widening.wide.pack(),
        "actuals": [one.actual.pack() for one in widening.actuals],
        "finished": finished,
        "plan": widening.base.pack(),
        "done": [asdict(piece) for piece in widening.done],
    }
    records.write(spark, _folder(job), Record(run_id=widening.run_id, saved=saved))


def _name(job: Job) -> str:
    """What the ids of its commits begin with."""
    return f"{job.name}/widen"


def _folder(job: Job) -> str:
    return f"{job.state}/runs/widen"


def _champions(spark: SparkSession, job: Job) -> tuple[WideTable, tuple[ModelPin, ...]]:
    champion = inputs.load_model(spark, job, job.models[0])
    return champion.package.wide, inputs.model_pins([champion])


def _continued(spark: SparkSession, job: Job, asked: Asked, found: Record) -> Widening:
    base = Plan.unpack(found.saved["plan"])
    wide = WideTable.unpack(found.saved["wide"], source=f"{found.run_id}.json")
    pinned = actuals.pin_actuals(spark, asked.actuals, job=job.path)
    place = found.saved.get("rows")
    return Widening(
        run_id=found.run_id,
        span=replace(asked.span, cut=timedelta(seconds=found.saved["cut_s"])),
        out=asked.out,
        base=base,
        rows=inputs.pin_rows(spark, asked.rows, base, place=place, run_id=found.run_id),
        tables=inputs.at_versions(inputs.pin_tables(spark, job, wide), base),
        actuals=actuals.at_versions(pinned, base),
        done=tuple(_piece(saved) for saved in found.saved["done"]),
    )


def _piece(saved: Mapping[str, Any]) -> Piece:
    counts = dict(saved["counts"])
    for name in ("rejected", "without_actual"):
        counts[name] = tuple((key, count) for key, count in counts[name])
    return Piece(commit_id=saved["commit_id"], counts=Counted(**counts))
