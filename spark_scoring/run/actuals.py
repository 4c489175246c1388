"""Actuals joined to a finished wide table: what became known after the row's time, and soon enough.

The join mirrors `as_of`: the table's rows become intervals of instants at which one of them is the next to become
known. The intervals of a key do not overlap, so no row is doubled.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_scoring import errors
from spark_scoring.io import sources
from spark_scoring.io.sources import Pin
from spark_scoring.spec.actuals import Actual
from spark_scoring.spec.plan import Plan
from spark_scoring.spec.scope import Name, Scope
from spark_scoring.spec.wide import Rows
from spark_scoring.wide import frames
from spark_scoring.wide.frames import HELPER, REJECTED, helper, named
from spark_scoring.wide.zeros import holds_floats, zero_rank

IMMATURE = "immature"
AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, kw_only=True)
class PinnedActual:
    """An actual and its table at one version; `where` names its place in the job."""

    actual: Actual
    pinned: Pin
    where: str


def pin_actuals(spark: SparkSession, actuals: Iterable[Actual], *, job: str) -> tuple[PinnedActual, ...]:
    """Each actual's table at its current version.

    Raises: RunError: a table is not there.
    """
    return tuple(
        PinnedActual(
            actual=actual,
            pinned=sources.pin(spark, actual.source, name=f"actuals.{actual.name}"),
            where=f"{job}: actuals.{actual.name}",
        )
        for actual in actuals
    )


def pins(pinned: Sequence[PinnedActual]) -> dict[str, Pin]:
    """`actuals.<name>` -> where it is read, as a plan names it."""
    return {f"actuals.{one.actual.name}": one.pinned for one in pinned}


def at_versions(pinned: Sequence[PinnedActual], plan: Plan) -> tuple[PinnedActual, ...]:
    """The same actuals at the versions of an earlier plan."""
    by_name = zip(pins(pinned), pinned, strict=True)
    return tuple(replace(one, pinned=sources.as_planned(one.pinned, plan, name=name)) for name, one in by_name)


def with_actuals(
    spark: SparkSession,
    frame: DataFrame,
    *,
    pinned: Sequence[PinnedActual],
    rows: Rows,
    within: tuple[datetime, datetime],
) -> DataFrame:
    """The wide table with a column for each actual, null where there is none; its rows have times in [start, end).

    Raises: ConfigError: an actual does not fit the wide table or its own table; before any data is read.
    """
    for one in pinned:
        table = sources.read(spark, one.pinned, columns=one.actual.columns)
        _check(frame, table, pinned=one)
        if one.actual.time is None:
            frame = _add_only(frame, table, actual=one.actual)
        else:
            frame = _add_next(frame, table, actual=one.actual, time=one.actual.time, rows=rows, within=within)
    return frame


def left_out(pinned: Sequence[PinnedActual], *, rows: Rows, clock: datetime) -> str:
    """Why a row is not in the training set: its code, `immature` or `ambiguous`; null for one that is."""
    time, now_us = f"unix_micros({frames.column(rows.time)})", frames.micros(clock)
    matures_us = max((frames.length_us(one.actual.matures_after) for one in pinned), default=0)
    cases = [f"when {REJECTED} is not null then {REJECTED}.code"]
    if pinned:
        cases.append(f"when {time} > {now_us - matures_us}L then '{IMMATURE}'")
    cases += [f"when {_twice(one.actual)} then '{AMBIGUOUS}'" for one in pinned if one.actual.time is None]
    return f"case {' '.join(cases)} end"


def _twice(actual: Actual) -> str:
    return frames.column(f"{HELPER}twice_{actual.name}")


def _add_only(frame: DataFrame, table: DataFrame, *, actual: Actual) -> DataFrame:
    """The one table row of the key; `__wide_twice_<name>` where there are more."""
    value = f"{frames.column(actual.column)} as {HELPER}value"
    known = table.where(frames.keys_known(actual.on)).selectExpr(*frames.key_columns(actual.on), value)
    one = [f"count(1) as {HELPER}count", f"first({HELPER}value) as {HELPER}value"]
    keyed = known.groupBy(*frames.key_names(actual.on)).agg(*map(F.expr, one))
    joined = frame.join(keyed, F.expr(frames.keys_match(actual.on)), "left")
    added = [
        named(f"if({helper('count')} = 1, {helper('value')}, null)", actual.name),
        f"{helper('count')} > 1 as {_twice(actual)}",
    ]
    return frames.with_added(joined, before=frame.columns, added=added, rejected=REJECTED)


def _add_next(
    frame: DataFrame, table: DataFrame, *, actual: Actual, time: str, rows: Rows, within: tuple[datetime, datetime]
) -> DataFrame:
    """The first table row with `row.time < table.time <= row.time + matures_after`."""
    reach_us, at, instant = frames.length_us(actual.matures_after), helper("at"), frames.column(time)
    start, end = (frames.micros(bound) for bound in within)
    reachable = [f"{instant} > {frames.at(start)}", f"{instant} < {frames.at(end + reach_us)}"]
    seen = table.where(frames.all_of([frames.keys_known(actual.on), *reachable]))
    intervals = _intervals(_one_each(seen, actual=actual, time=time), actual=actual)
    touched = frames.buckets([helper("from"), f"{helper('time')} - 1L"], width=reach_us)
    answers = intervals.selectExpr("*", f"{touched} as {HELPER}bucket")
    here = f"{frames.bucket(at, width=reach_us)} = {helper('bucket')}"
    same = [frames.keys_match(actual.on), here, f"{helper('from')} <= {at}", f"{at} < {helper('time')}"]
    timed = frame.selectExpr("*", f"unix_micros({frames.column(rows.time)}) as {at}")
    joined = timed.join(answers, F.expr(frames.all_of(same)), "left")
    added = [named(helper("value"), actual.name)]
    return frames.with_added(joined, before=frame.columns, added=added, rejected=REJECTED)


def _one_each(table: DataFrame, *, actual: Actual, time: str) -> DataFrame:
    """One row for each key and instant: of those that tie, the greatest value, nulls least."""
    value = frames.column(actual.column)
    given = table.selectExpr(named(value, "value")).schema["value"].dataType
    signed = f"'signed', {zero_rank(value, given=given)}, " if holds_floats(given) else ""
    item = f"named_struct('order', {value}, {signed}'value', {value}) as {HELPER}item"
    items = table.selectExpr(
        *frames.key_columns(actual.on), f"unix_micros({frames.column(time)}) as {HELPER}time", item
    )
    greatest = f"max({HELPER}item).value as {HELPER}value"
    return items.groupBy(*frames.key_names(actual.on), helper("time")).agg(F.expr(greatest))


def _intervals(known: DataFrame, *, actual: Actual) -> DataFrame:
    """At `__wide_from` <= instant < `__wide_time` the row is the next to become known, and soon enough."""
    time, keys = helper("time"), ", ".join(frames.key_names(actual.on))
    before = f"lag({time}) over (partition by {keys} order by {time})"
    earliest = f"{time} - {frames.length_us(actual.matures_after)}L"
    return known.selectExpr("*", f"greatest({before}, {earliest}) as {HELPER}from")


def _check(frame: DataFrame, table: DataFrame, *, pinned: PinnedActual) -> None:
    actual, where = pinned.actual, pinned.where
    wide, there = _scope(frame, owner="the wide table"), _scope(table, owner=f"the table of {actual.name}")
    # the new column under its own rules: refused if the wide table has one of the name
    wide.add(actual.name, type="?", origin="a column of the wide table", where=where)
    for left, right in actual.on:
        row, column = wide.find(left, where=f"{where}.on"), there.find(right, where=f"{where}.on")
        _check_comparable(column, where=f"{where}.on")
        if row.type != column.type:
            raise errors.key_of_other_type(where, left=left, given=row.type, right=right, table=column.type)
    _check_comparable(there.find(actual.column, where=f"{where}.column"), where=f"{where}.column")
    if actual.time is not None:
        time = there.find(actual.time, where=f"{where}.time")
        if time.type != "timestamp":
            given = f"{time.name} ({time.type})"
            raise errors.bad_value(f"{where}.time", given=given, allowed="a column of type timestamp")


def _check_comparable(column: Name, *, where: str) -> None:
    if "map<" in column.type:
        given = f"{column.name} ({column.type})"
        raise errors.bad_value(where, given=given, allowed="a column that holds no map: maps cannot be compared")


def _scope(frame: DataFrame, *, owner: str) -> Scope:
    names = [(name, kind) for name, kind in frame.dtypes if name != REJECTED and not name.startswith("__")]
    return Scope(owner=owner, names=tuple(Name(name=n, type=kind, origin=f"a column of {owner}") for n, kind in names))
