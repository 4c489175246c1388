"""Widen: the training set, by the same code that scores, an interval of event time to a commit."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, Observation, SparkSession

from spark_scoring import errors
from spark_scoring.io import delta, delta_write, sources
from spark_scoring.run import batch, widenings
from spark_scoring.run.actuals import AMBIGUOUS, IMMATURE, left_out, with_actuals
from spark_scoring.run.insist import insisting
from spark_scoring.run.places import check_apart, places_of
from spark_scoring.run.prepared import Prepared
from spark_scoring.run.runs import Span
from spark_scoring.run.target import check_free, differences
from spark_scoring.run.widenings import Asked, Counted, Pairs, Piece, Widening
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Interval, Plan, iso
from spark_scoring.spec.sql_tokens import quote
from spark_scoring.spec.wide import Lookup, WideTable
from spark_scoring.wide import transform
from spark_scoring.wide.frames import REJECTED, at, column, micros, named

LEFT_OUT = "__left_out"

Progress = Callable[[Piece], None]
Bounds = tuple[datetime, datetime]


def sample(spark: SparkSession, path: str, *, most: int) -> pa.Table:
    """Some rows of a training set, to package a model with.

    Raises: ConfigError: there is no such table.
    """
    if not delta.is_table(spark, path):
        raise errors.no_sample(path)
    return spark.read.format("delta").load(path).limit(most).toArrow()


@dataclass(frozen=True, kw_only=True)
class Widened:
    """The Delta table that was written, and what became of the rows that were read.

    read = rows + rejected + immature + ambiguous. `rejected` and `without_actual` are pairs of name and count.
    """

    run_id: str
    path: str
    commits: int
    read: int
    rows: int
    rejected: Pairs
    immature: int
    ambiguous: int
    without_actual: Pairs


def widen(
    spark: SparkSession,
    job: Job,
    wide: WideTable | None,
    *,
    span: Span,
    out: str,
    clock: datetime,
    actuals: Iterable[str] = (),
    resume: bool = False,
    progress: Progress = lambda _: None,
) -> Widened:
    """Write the wide table of the batch rows with event times in the span to the Delta table `out`, a commit per `cut`.

    `wide`: None for the champion's. `actuals`: names of the job's actuals, each joined as a column of its name.
    Rejected and immature rows, and those with two actuals, are left out and counted. Writing an interval again
    replaces it; with `resume` the newest unfinished run of the same goes on after its own plan. `progress` is told of
    each commit, on a resume first of those made before.

    Raises: ConfigError: the job has no batch rows, or an actual does not fit. RunError: a source or table is not fit.
    """
    if job.batch is None:
        raise errors.missing_part(job.path, part="rows.batch", command="widen")
    named = tuple(dict.fromkeys(job.actual(name, where="--with") for name in actuals))
    asked = Asked(rows=job.batch, wide=wide, actuals=named, span=span, out=out)
    going = (
        _as_it_stands(spark, widenings.resume(spark, job, asked))
        if resume
        else widenings.begin(spark, job, asked, clock=clock)
    )
    pins = (going.rows, *going.tables.pins.values(), *[one.pinned for one in going.actuals])
    with closing(Prepared(spark=spark)) as prepared, sources.readable(spark, pins):
        _check_out(prepared, job, going)
        widenings.write(spark, job, going, finished=False)
        for piece in going.done:
            progress(piece)
        for plan in _to_do(job, going):
            counts = insisting(plan.commit_id, partial(_commit, prepared, going, plan))
            going = replace(going, done=(*going.done, Piece(commit_id=plan.commit_id, counts=counts)))
            widenings.write(spark, job, going, finished=False)
            progress(going.done[-1])
    widenings.write(spark, job, going, finished=True)
    return _summary(going)


def _as_it_stands(spark: SparkSession, going: Widening) -> Widening:
    """It without the commits that `out` no longer holds as they were: they are made again.

    Raises: RunError: another run has written to `out` since.
    """
    done = {piece.commit_id: piece.counts.rows for piece in going.done}
    still = batch.still_done(spark, going.out, done=done, run_id=going.run_id, base=going.base, span=going.span)
    return replace(going, done=tuple(piece for piece in going.done if piece.commit_id in still))


def _to_do(job: Job, going: Widening) -> Iterator[Plan]:
    done = {piece.commit_id for piece in going.done}
    for start, end in batch.cuts(going.span):
        plan = going.plan(f"{job.name}/widen/{iso(start)}..{iso(end)}", (start, end))
        if plan.commit_id not in done:
            yield plan


def _commit(prepared: Prepared, going: Widening, plan: Plan) -> Counted:
    assert isinstance(plan.input, Interval) and plan.input.bounds is not None
    start, end = plan.input.bounds
    seen = Observation()
    frame = _whole(prepared, going, within=(start, end)).observe(seen, *_measures(going))
    time = f"`{going.wide.rows.time}`"
    predicate = f"{time} >= timestamp'{iso(start)}' and {time} < timestamp'{iso(end)}'"
    delta_write.replace_where(_written(frame), going.out, predicate=predicate, metadata=plan.dump(), partition_by=())
    return _counted(seen.get, going)


def _whole(prepared: Prepared, going: Widening, *, within: Bounds) -> DataFrame:
    """The wide rows of an interval with their actuals, and `__left_out`: why one is not written, null where it is."""
    spark, tables = prepared.spark, prepared.at(going.tables)
    time, (start, end) = column(going.wide.rows.time), within
    rows = sources.read_rows(spark, going.rows, columns=going.wide.rows.columns)
    rows = rows.where(f"{time} >= {at(micros(start))} and {time} < {at(micros(end))}")
    frame = transform(going.wide, rows, tables.frames, within=within, keeper=tables)
    # after transform, which never sees an actual
    frame = with_actuals(spark, frame, pinned=going.actuals, rows=going.wide.rows, within=within)
    why = left_out(going.actuals, rows=going.wide.rows, clock=going.base.clock)
    return frame.selectExpr("*", named(why, LEFT_OUT))


def _written(frame: DataFrame) -> DataFrame:
    names = [name for name in frame.columns if name != REJECTED and not name.startswith("__")]
    return frame.where(f"{LEFT_OUT} is null").selectExpr(*map(column, names))


def _measures(going: Widening) -> list[Column]:
    counts = {"read": "true", "rows": f"{LEFT_OUT} is null"}
    counts |= {code: f"{LEFT_OUT} = {quote(code)}" for code in (*_codes(going.wide), IMMATURE, AMBIGUOUS)}
    for name in (one.actual.name for one in going.actuals):
        counts[f"without {name}"] = f"{LEFT_OUT} is null and {column(name)} is null"
    return [F.expr(named(f"count_if({condition})", name)) for name, condition in counts.items()]


def _codes(wide: WideTable) -> list[str]:
    """Every reason that `transform` can give for a row of this wide table."""
    lookups = [step for step in wide.steps if isinstance(step, Lookup)]
    found = ["PARSE", "SCHEMA", *[f"LOOKUP_AMBIGUOUS:{step.table}" for step in lookups]]
    found += [f"LOOKUP_MISS:{step.table}" for step in lookups if step.required]
    return sorted({*found, *[f"RULE:{rule.name}" for rule in wide.rules]})


def _counted(seen: Mapping[str, Any], going: Widening) -> Counted:
    return Counted(
        read=seen["read"],
        rows=seen["rows"],
        rejected=tuple((code, seen[code]) for code in _codes(going.wide) if seen[code]),
        immature=seen[IMMATURE],
        ambiguous=seen[AMBIGUOUS],
        without_actual=tuple((one.actual.name, seen[f"without {one.actual.name}"]) for one in going.actuals),
    )


def _summary(going: Widening) -> Widened:
    each = [piece.counts for piece in going.done]
    return Widened(
        run_id=going.run_id,
        path=going.out,
        commits=len(each),
        read=sum(counts.read for counts in each),
        rows=sum(counts.rows for counts in each),
        rejected=_added(counts.rejected for counts in each),
        immature=sum(counts.immature for counts in each),
        ambiguous=sum(counts.ambiguous for counts in each),
        without_actual=_added(counts.without_actual for counts in each),
    )


def _added(each: Iterable[Pairs]) -> Pairs:
    total: dict[str, int] = {}
    for name, count in (pair for pairs in each for pair in pairs):
        total[name] = total.get(name, 0) + count
    return tuple(sorted(total.items()))


def _check_out(prepared: Prepared, job: Job, going: Widening) -> None:
    """Nothing, if the rows can be planned and `out` is free or holds a training set with the same columns."""
    spark = prepared.spark
    planned = _written(_whole(prepared, going, within=(going.span.start, going.span.end))).schema
    check_apart(spark, going.out, where="--out", taken=_taken(job, going), job=job.path)
    if not delta.is_table(spark, going.out):
        check_free(spark, going.out)
        return
    there = spark.read.format("delta").load(going.out).schema
    new, old = ({name.lower(): name for name in schema.fieldNames()} for schema in (planned, there))
    different = [f"{new[name]} is not there" for name in new if name not in old]
    different += [f"{old[name]} is only there" for name in old if name not in new]
    different += [f"{name} is {found} there, {given} now" for name, given, found in differences(planned, there)]
    if different:
        raise errors.other_training_set(going.out, different=different)


def _taken(job: Job, going: Widening) -> Iterator[tuple[str, str]]:
    """(what, path) of all that the job reads and writes, as far as it is a path."""
    pins = {"rows.batch": going.rows, **{f"tables.{name}": pin for name, pin in going.tables.pins.items()}}
    pins |= {f"actuals.{one.actual.name}": one.pinned for one in going.actuals}
    yield from ((what, pinned.path) for what, pinned in pins.items() if pinned.path)
    yield from places_of(job)
