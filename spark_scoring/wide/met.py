"""What each step met for rows that are finished, found by the steps themselves: asked again, with other columns taken.

A lookup is asked as one that is `required`, an as-of for the time of its table row, a window for the count of its rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame

from spark_scoring.spec.wide import AsOf, Column, Columns, Lookup, Rows, Step, WideTable, Window
from spark_scoring.wide.frames import REJECTED, Keys, column, keys_in, named
from spark_scoring.wide.transform import transform

# a lookup knows no time: a row outside `time_range` hits as any other
ANY_TIME = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
HIT, MISS, AMBIGUOUS, TOO_OLD, NONE = "hit", "miss", "ambiguous", "too old", "none"


@dataclass(frozen=True, kw_only=True)
class LookupMatch:
    """`hit`, `miss`, or `ambiguous`: more than one table row has the key."""

    found: str


@dataclass(frozen=True, kw_only=True)
class AsOfMatch:
    """`hit`, `none`, or `too old`; the time, age and `known_at` of the table row that was taken.

    `newest`: the time of the last one known, taken or too old.
    """

    found: str
    time: datetime | None
    age: timedelta | None
    known_at: datetime | None
    newest: datetime | None


@dataclass(frozen=True, kw_only=True)
class WindowMatch:
    """The window's bounds, half open, and how many table rows lie in it."""

    start: datetime
    end: datetime
    rows: int


Match = LookupMatch | AsOfMatch | WindowMatch


def with_matches(
    finished: DataFrame,
    tables: Mapping[str, DataFrame],
    *,
    wide: WideTable,
    steps: Sequence[Step],
    within: tuple[datetime, datetime] | None = None,
    keys: Keys | None = None,
) -> DataFrame:
    """Finished rows of `transform` as the struct `wide`, and `match_<i>` for what the i-th of the steps met.

    No job is run; `within` and `keys` as in `transform`.
    """
    of_rows = keys_in(wide, keys or {})
    joins = [(i, step) for i, step in enumerate(steps) if not isinstance(step, Columns)]
    on = [named(column(left), _key(i, j)) for i, step in joins for j, (left, _) in enumerate(step.on)]
    types = {found.name.lower(): found.dataType.simpleString() for found in finished.schema}
    frame = finished.selectExpr("struct(*) as wide", f"{column(wide.rows.time)} as at", *on)
    for i, step in joins:
        given = {_key(i, j): types[left.lower()] for j, (left, _) in enumerate(step.on)}
        known = {_key(i, j): of_rows[left.lower()] for j, (left, _) in enumerate(step.on) if left.lower() in of_rows}
        asked = _asked(step, i, wide=wide, given=given)
        met = transform(asked, frame, tables, within=within, keys=known)
        frame = met.selectExpr(*map(column, frame.columns), f"{_says(step, i, wide=wide)} as match_{i}")
    return frame


def match_of(step: Step, given: Mapping[str, Any] | None, *, time: datetime) -> Match | None:
    """What a `match_<i>`, as a mapping, says of the row at this time."""
    if given is None or isinstance(step, Columns):
        return None
    if isinstance(step, Lookup):
        return LookupMatch(found=given["found"])
    if isinstance(step, Window):
        return WindowMatch(start=time - step.last, end=time, rows=given["rows"])
    taken, newest = given["time"], given["newest"]
    return AsOfMatch(
        found=HIT if taken else TOO_OLD if newest else NONE,
        time=taken,
        age=time - taken if taken else None,
        known_at=given["known_at"],
        newest=newest,
    )


def _key(i: int, j: int) -> str:
    return f"on_{i}_{j}"


def _asked(step: Lookup | AsOf | Window, i: int, *, wide: WideTable, given: Mapping[str, str]) -> WideTable:
    """The definition of the step alone, over rows of its keys and their time."""
    on = tuple((name, right) for name, (_, right) in zip(given, step.on, strict=True))
    columns = [Column(name="at", type="timestamp", nullable=False)]
    columns += [Column(name=name, type=kind) for name, kind in given.items()]
    time_range = ANY_TIME if isinstance(step, Lookup) else wide.rows.time_range
    rows = Rows(key=["at"], time="at", columns=columns, time_range=time_range)
    steps = _questions(step, i, wide=wide, on=on)
    return WideTable.unchecked(name=wide.name, rows=rows, tables=(wide.table(step.table),), steps=steps, rules=())


def _questions(
    step: Lookup | AsOf | Window, i: int, *, wide: WideTable, on: tuple[tuple[str, str], ...]
) -> tuple[Step, ...]:
    table, how = wide.table(step.table), step.strategy
    if isinstance(step, Lookup):
        return (Lookup(table=table.name, on=on, take={f"key_{i}": on[0][1]}, required=True, strategy=how),)
    if isinstance(step, Window):
        return (Window(table=table.name, on=on, last=step.last, take={f"rows_{i}": "count(*)"}, strategy=how),)
    time, known = str(table.time), table.known_at
    take = {f"time_{i}": time} | ({f"known_{i}": known} if known else {})
    newest = {f"newest_{i}": time}
    return (
        AsOf(table=table.name, on=on, take=take, max_age=step.max_age, strict=step.strict, strategy=how),
        AsOf(table=table.name, on=on, take=newest, strict=step.strict, strategy=how),
    )


def _says(step: Lookup | AsOf | Window, i: int, *, wide: WideTable) -> str:
    if isinstance(step, Lookup):
        twice = f"startswith({REJECTED}.code, 'LOOKUP_AMBIGUOUS')"
        cases = f"when {REJECTED} is null then '{HIT}' when {twice} then '{AMBIGUOUS}' else '{MISS}'"
        return f"named_struct('found', case {cases} end)"
    if isinstance(step, Window):
        return f"named_struct('rows', rows_{i})"
    known = f"known_{i}" if wide.table(step.table).known_at else "cast(null as timestamp)"
    return f"named_struct('time', time_{i}, 'known_at', {known}, 'newest', newest_{i})"
