"""The semantics of the steps once more, as naive as can be: one row at a time, every table row of its key looked at.

Rows are dicts, instants are integers (microseconds since 1970), decimals are `Decimal`. SQL expressions are
given as Python functions of the row, by their text. Sums are sums of fractions, rounded at their end.
"""

import math
import struct
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import takewhile
from typing import Any

from spark_scoring.spec.wide import Aggregate, AsOf, Columns, Lookup, Table, WideTable, Window

Row = dict[str, Any]
Python = Mapping[str, Callable[[Row], Any]]

INTEGERS = ("tinyint", "smallint", "int", "bigint")


@dataclass(frozen=True, kw_only=True)
class World:
    """A definition, the rows of its tables, and its expressions in Python."""

    wide: WideTable
    tables: Mapping[str, Sequence[Row]]
    python: Python
    by_key: dict[Any, dict[Any, list[Row]]] = field(default_factory=dict, repr=False)
    """Table rows by the ranks of a step's key, made when they are first asked for."""


def micros(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000 + moment.microsecond


def rank(value: Any) -> tuple[Any, ...]:
    """A key for comparing: null least, NaN greatest and equal to itself, -0.0 equal to 0.0."""
    if value is None:
        return (0,)
    if isinstance(value, float):
        return (1, 1, 0.0) if math.isnan(value) else (1, 0, value + 0.0)
    if isinstance(value, dict | list):
        return (1, 0, tuple(map(rank, value.values() if isinstance(value, dict) else value)))
    return (1, 0, value)


def bits(value: Any) -> Any:
    """What makes two values the same to the last bit; every NaN is one."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack(">d", value)
    if isinstance(value, dict):
        return tuple((name, bits(inner)) for name, inner in value.items())
    if isinstance(value, list):
        return list(map(bits, value))
    return (type(value).__name__, value)


def settled(values: Sequence[Any]) -> Any:
    """One of several equal values: 0.0 where -0.0 and 0.0 tie."""
    plus = [value for value in values if bits(value) == bits(0.0)]
    return plus[0] if plus else values[0]


def wide_row(row: Row, *, world: World) -> Row:
    """The row with all columns that the steps add, and `rejected`."""
    wide, found = world.wide, dict(row)
    rejected = parse_or_schema(row, wide=wide)
    for step in wide.steps:
        match step:
            case Lookup():
                added, reason = look_up(found, step=step, world=world)
                rejected = rejected or reason
            case AsOf():
                added = as_of(found, step=step, contract=wide.table(step.table), world=world)
            case Window():
                added = window(found, step=step, contract=wide.table(step.table), world=world)
            case Columns():
                added = {}
                for new, expression in step.take:
                    added[new] = world.python[expression.text](found | added)
        found |= added
    broken = [rule.name for rule in wide.rules if world.python[rule.condition.text](found) is not True]
    rejected = rejected or (f"RULE:{broken[0]}" if broken else None)
    return found | {"rejected": rejected}


def parse_or_schema(row: Row, *, wide: WideTable) -> str | None:
    if row.get("__parse") is not None:
        return "PARSE"
    nulls = [column.name for column in wide.rows.columns if not column.nullable and row[column.name] is None]
    bad = row.get("__bad") or []
    return "SCHEMA" if nulls or bad or instant(row, wide=wide) is None else None


def instant(row: Row, *, wide: WideTable) -> int | None:
    start, end = map(micros, wide.rows.time_range)
    time = row[wide.rows.time]
    return time if time is not None and start <= time < end else None


def with_key(row: Row, *, step: Lookup | AsOf | Window, world: World) -> list[Row]:
    """The table rows with the row's key; a null matches nothing."""
    key = tuple(rank(row[left]) for left, _ in step.on)
    names = tuple(right for _, right in step.on)
    if (step.table, names) not in world.by_key:
        groups = world.by_key[step.table, names] = defaultdict(list)
        for there in world.tables[step.table]:
            groups[tuple(rank(there[name]) for name in names)].append(there)
    return [] if rank(None) in key else world.by_key[step.table, names].get(key, [])


def look_up(row: Row, *, step: Lookup, world: World) -> tuple[Row, str | None]:
    found = with_key(row, step=step, world=world)
    values = {new: found[0][source] if len(found) == 1 else None for new, source in step.take}
    if len(found) > 1:
        return values, f"LOOKUP_AMBIGUOUS:{step.table}"
    return values, f"LOOKUP_MISS:{step.table}" if step.required and not found else None


def known_rows(
    row: Row, *, step: AsOf | Window, contract: Table, world: World, reach: tuple[int, int]
) -> Iterator[Row]:
    """The table rows of the row's key between two instants, both included, that were known at its own.

    Each with its `time` and `known`, the newest first.
    """
    at, index = instant(row, wide=world.wide), (step.table, step.on, "in time")
    groups = world.by_key.setdefault(index, {})
    key = tuple(rank(row[left]) for left, _ in step.on)
    if key not in groups:
        names = str(contract.time), contract.known_at or str(contract.time)
        found = [
            {"time": there[names[0]], "known": there[names[1]], "row": there}
            for there in with_key(row, step=step, world=world)
        ]
        dated = [there for there in found if there["time"] is not None and there["known"] is not None]
        groups[key] = sorted(dated, key=lambda there: there["time"])
    first = bisect_left(groups[key], reach[0], key=lambda there: there["time"])
    after = bisect_right(groups[key], reach[1], key=lambda there: there["time"])
    newest_first = reversed(groups[key][first:after])
    return (there for there in newest_first if at is not None and there["known"] <= at)


def as_of(row: Row, *, step: AsOf, contract: Table, world: World) -> Row:
    at = instant(row, wide=world.wide) or 0
    oldest = at - step.max_age // datetime.resolution if step.max_age else -(2**63)
    reach = (oldest, at - 1 if step.strict else at)
    known = known_rows(row, step=step, contract=contract, world=world, reach=reach)
    newest = next(known, None)
    if newest is None:
        return {new: None for new, _ in step.take}

    def place(there: Row) -> Any:
        return there["time"], there["known"], [rank(there["row"][source]) for _, source in step.take]

    found = [newest, *takewhile(lambda there: there["time"] == newest["time"], known)]
    best = max(map(place, found))
    tied = [there["row"] for there in found if place(there) == best]
    return {new: settled([there[source] for there in tied]) for new, source in step.take}


def window(row: Row, *, step: Window, contract: Table, world: World) -> Row:
    at, last_us = instant(row, wide=world.wide) or 0, step.last // datetime.resolution
    expressions = [found for _, taken in step.take for found in (taken.argument, taken.where) if found]
    read = {name.lower() for expression in expressions for name in expression.columns}
    columns = [column.name for column in contract.columns if column.name.lower() in read]
    found = [
        {**there, "place": (there["time"], there["known"], [rank(there["row"][name]) for name in columns])}
        for there in known_rows(row, step=step, contract=contract, world=world, reach=(at - last_us, at - 1))
    ]
    found.sort(key=lambda there: there["place"])
    return {new: aggregate(taken, found=found, contract=contract, world=world) for new, taken in step.take}


def aggregate(taken: Aggregate, *, found: Sequence[Row], contract: Table, world: World) -> Any:
    if taken.where:
        found = [there for there in found if world.python[taken.where.text](there["row"]) is True]
    if taken.argument is None:
        return len(found)
    argument = world.python[taken.argument.text]
    if taken.function in ("first", "last"):
        if not found:
            return None
        place = found[0 if taken.function == "first" else -1]["place"]
        tied = [argument(there["row"]) for there in found if there["place"] == place]
        return settled(tied)
    values = [value for there in found if (value := argument(there["row"])) is not None]
    kinds = {column.name: column.type for column in contract.columns}
    return AGGREGATES[taken.function](values, kinds.get(taken.argument.text, "double"))


def total(values: Sequence[Any], kind: str) -> Any:
    if not values:
        return None
    exact = exact_sum(values)
    if isinstance(exact, float):
        return exact
    if kind in ("double", "float"):
        return double(exact) if kind == "double" else single(exact)
    if kind in INTEGERS:
        return int(exact) if -(2**63) <= exact < 2**63 else None
    scale = int(kind[:-1].split(",")[1])
    unscaled = int(exact * 10**scale)
    fits = abs(unscaled) < 10**38
    return Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -scale)) if fits else None


def exact_sum(values: Sequence[Any], *, minus: float = 0.0, power: int = 1) -> Fraction | float:
    """The sum of (value - minus) ** power without any rounding, or what NaN and infinities make of it."""
    odd = {bits(value): value for value in values if not math.isfinite(value)}
    if odd:
        return odd.popitem()[1] if len(odd) == 1 else math.nan
    ratios = [value.as_integer_ratio() for value in (*values, minus)]
    one = math.lcm(*{below for _, below in ratios})
    *parts, centre = [above * (one // below) for above, below in ratios]
    return Fraction(sum((part - centre) ** power for part in parts), one**power)


def double(exact: Fraction) -> float:
    """The nearest double, of two the even one; an infinity beyond the greatest."""
    try:
        return exact.numerator / exact.denominator
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def single(exact: Fraction) -> float:
    """The nearest single-precision number, without a double on the way."""
    exponent = -149
    while abs(exact) >= Fraction(2) ** (exponent + 24):
        exponent += 1
    nearest = round(exact / Fraction(2) ** exponent) * Fraction(2) ** exponent
    return double(nearest) if abs(nearest) < 2**128 else math.copysign(math.inf, exact)


def mean(values: Sequence[Any], kind: str) -> float | None:
    if not values:
        return None
    exact = exact_sum(values)
    return (exact if isinstance(exact, float) else double(exact)) / len(values)


def stddev(values: Sequence[Any], kind: str) -> float | None:
    if len(values) < 2:
        return None
    centre = mean(values, kind)
    assert centre is not None
    doubles = [float(value) for value in values]  # what deviates from the mean is each value as a double
    if not all(map(math.isfinite, (*doubles, centre))):
        return math.nan
    squares = exact_sum(doubles, minus=centre, power=2)
    assert isinstance(squares, Fraction)
    return math.sqrt(double(squares) / (len(values) - 1))


def edge(values: Sequence[Any], pick: Callable[..., Any]) -> Any:
    if not values:
        return None
    best = pick(map(rank, values))
    return settled([value for value in values if rank(value) == best])


AGGREGATES: dict[str, Callable[[Sequence[Any], str], Any]] = {
    "count": lambda values, kind: len(values),
    "count_distinct": lambda values, kind: len({rank(value) for value in values}),
    "sum": total,
    "mean": mean,
    "stddev": stddev,
    "min": lambda values, kind: edge(values, min),
    "max": lambda values, kind: edge(values, max),
}
