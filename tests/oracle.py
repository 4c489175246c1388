"""The semantics of the steps once more, as naive as can be: one row at a time, every table row looked at.

Rows are dicts, instants are integers (microseconds since 1970), decimals are `Decimal`. SQL expressions are
given as Python functions of the row, by their text.
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import reduce
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


def micros(moment: datetime) -> int:
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000 + moment.microsecond


def rank(value: Any) -> tuple[Any, ...]:
    """A key for comparing: null least, NaN greatest and equal to itself, -0.0 equal to 0.0."""
    if value is None:
        return (0,)
    if isinstance(value, float):
        return (1, 1, 0.0) if math.isnan(value) else (1, 0, value + 0.0)
    return (1, 0, value)


def bits(value: Any) -> Any:
    """What makes two values the same to the last bit; every NaN is one."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack(">d", value)
    if isinstance(value, dict):
        return tuple((name, bits(inner)) for name, inner in value.items())
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
                added, reason = look_up(found, step=step, table=world.tables[step.table])
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


def with_key(row: Row, *, on: Sequence[tuple[str, str]], table: Sequence[Row]) -> list[Row]:
    """The table rows with the row's key; a null matches nothing."""
    key = [(right, rank(row[left])) for left, right in on]
    if rank(None) in [value for _, value in key]:
        return []
    return [there for there in table if all(rank(there[name]) == value for name, value in key)]


def look_up(row: Row, *, step: Lookup, table: Sequence[Row]) -> tuple[Row, str | None]:
    found = with_key(row, on=step.on, table=table)
    values = {new: found[0][source] if len(found) == 1 else None for new, source in step.take}
    if len(found) > 1:
        return values, f"LOOKUP_AMBIGUOUS:{step.table}"
    return values, f"LOOKUP_MISS:{step.table}" if step.required and not found else None


def known_rows(row: Row, *, step: AsOf | Window, contract: Table, world: World) -> list[Row]:
    """The table rows of the row's key that were known at its instant, with `time` and `known`."""
    at = instant(row, wide=world.wide)
    if at is None:
        return []
    found = []
    for there in with_key(row, on=step.on, table=world.tables[step.table]):
        time, known = there[str(contract.time)], there[contract.known_at or str(contract.time)]
        if time is not None and known is not None and known <= at:
            found.append({"time": time, "known": known, "row": there})
    return found


def as_of(row: Row, *, step: AsOf, contract: Table, world: World) -> Row:
    at, age = instant(row, wide=world.wide), step.max_age
    found = [
        there
        for there in known_rows(row, step=step, contract=contract, world=world)
        if (there["time"] < at if step.strict else there["time"] <= at)
        and (age is None or at - there["time"] <= age // (datetime.resolution))
    ]
    if not found:
        return {new: None for new, _ in step.take}

    def place(there: Row) -> Any:
        return there["time"], there["known"], [rank(there["row"][source]) for _, source in step.take]

    best = max(map(place, found))
    tied = [there["row"] for there in found if place(there) == best]
    return {new: settled([there[source] for there in tied]) for new, source in step.take}


def window(row: Row, *, step: Window, contract: Table, world: World) -> Row:
    at, last_us = instant(row, wide=world.wide), step.last // datetime.resolution
    expressions = [found for _, taken in step.take for found in (taken.argument, taken.where) if found]
    read = {name.lower() for expression in expressions for name in expression.columns}
    columns = [column.name for column in contract.columns if column.name.lower() in read]
    found = [
        there | {"place": (there["time"], there["known"], [rank(there["row"][name]) for name in columns])}
        for there in known_rows(row, step=step, contract=contract, world=world)
        if at is not None and at - last_us <= there["time"] < at
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
    if kind in ("double", "float"):
        sum_ = left_to_right(values)
        return struct.unpack(">f", struct.pack(">f", sum_))[0] if kind == "float" else sum_
    exact = sum(map(Fraction, values))
    if kind in INTEGERS:
        return int(exact) if -(2**63) <= exact < 2**63 else None
    scale = int(kind[:-1].split(",")[1])
    unscaled = int(exact * 10**scale)
    fits = abs(unscaled) < 10**38
    return Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -scale)) if fits else None


def left_to_right(values: Sequence[float]) -> float:
    return reduce(lambda sum_, value: sum_ + value, values, 0.0)


def mean(values: Sequence[Any], kind: str) -> float | None:
    if not values:
        return None
    sum_ = left_to_right(values) if kind in ("double", "float") else float(sum(map(Fraction, values)))
    return sum_ / len(values)


def stddev(values: Sequence[Any], kind: str) -> float | None:
    if len(values) < 2:
        return None
    centre = mean(values, kind)
    assert centre is not None
    squares = left_to_right([(float(value) - centre) * (float(value) - centre) for value in values])
    return math.sqrt(squares / (len(values) - 1))


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
