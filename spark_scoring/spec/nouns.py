"""What a wide-table definition is made of: frozen dataclasses, no behaviour beyond look-ups.

They take what is pleasant to write in Python, and keep one form of it: names as a list or a mapping, columns as
a mapping {name: DDL type}, durations, aggregates, expressions and conditions as the texts that YAML has.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spark_scoring.errors import bad_value
from spark_scoring.spec.aggregates import Aggregate
from spark_scoring.spec.read import Reader, duration_text
from spark_scoring.spec.sql import Expression
from spark_scoring.spec.types import parse_declared

__all__ = [
    "EPOCH_TO_2100", "Aggregate", "AsOf", "Column", "Columns", "Lookup", "Rows", "Rule", "Step", "Table", "Window",
]  # fmt: skip

EPOCH_TO_2100 = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))

Pairs = tuple[tuple[str, str], ...]
Names = Mapping[str, str] | Iterable[str] | Pairs
Expressions = Mapping[str, str | Expression] | Iterable[tuple[str, str | Expression]]
Aggregates = Mapping[str, str | Aggregate] | Iterable[tuple[str, str | Aggregate]]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A declared column; `type` in Spark's own spelling."""

    name: str
    type: str
    nullable: bool = True


Declared = Mapping[str, str] | Iterable[Column]


@dataclass(frozen=True, init=False)
class Rows:
    """What is scored. `time_range` is UTC, half open."""

    key: tuple[str, ...]
    time: str
    columns: tuple[Column, ...]
    time_range: tuple[datetime, datetime]

    def __init__(
        self,
        *,
        key: str | Iterable[str],
        time: str,
        columns: Declared,
        time_range: Iterable[datetime | str] = EPOCH_TO_2100,
    ) -> None:
        key = (key,) if isinstance(key, str) else tuple(key)
        ends = tuple(Reader(value=end, source="rows: time_range").instant() for end in time_range)
        _keep(self, key=key, time=time, columns=_declared(columns, owner="rows"), time_range=ends)


@dataclass(frozen=True, init=False)
class Table:
    """The contract of a joined table; `known_at` names the column that says when a row became known."""

    name: str
    columns: tuple[Column, ...]
    time: str | None
    known_at: str | None

    def __init__(self, *, name: str, columns: Declared, time: str | None = None, known_at: str | None = None) -> None:
        _keep(self, name=name, columns=_declared(columns, owner=name), time=time, known_at=known_at)


@dataclass(frozen=True, init=False)
class Lookup:
    """At most one table row per key. `on`: (row column, table column); `take`: (new name, table column)."""

    table: str
    on: Pairs
    take: Pairs
    required: bool
    strategy: str | None

    def __init__(
        self, *, table: str, on: Names, take: Names, required: bool = False, strategy: str | None = None
    ) -> None:
        _keep(self, table=table, on=_pairs(on), take=_pairs(take), required=required, strategy=strategy)


@dataclass(frozen=True, init=False)
class AsOf:
    """The last table row known at the row's time; `strict` leaves out a table row of the same instant."""

    table: str
    on: Pairs
    take: Pairs
    max_age: timedelta | None
    strict: bool
    strategy: str | None

    def __init__(
        self,
        *,
        table: str,
        on: Names,
        take: Names,
        max_age: timedelta | str | None = None,
        strict: bool = False,
        strategy: str | None = None,
    ) -> None:
        age = None if max_age is None else _duration(max_age, where=f"as_of {table}: max_age")
        _keep(self, table=table, on=_pairs(on), take=_pairs(take), max_age=age, strict=strict, strategy=strategy)


@dataclass(frozen=True, init=False)
class Window:
    """Aggregates of the table rows in the `last` stretch before the row's time."""

    table: str
    on: Pairs
    last: timedelta
    take: tuple[tuple[str, Aggregate], ...]
    strategy: str | None

    def __init__(
        self, *, table: str, on: Names, last: timedelta | str, take: Aggregates, strategy: str | None = None
    ) -> None:
        items = take.items() if isinstance(take, Mapping) else take
        taken = tuple((new, Aggregate.of(found) if isinstance(found, str) else found) for new, found in items)
        reach = _duration(last, where=f"window {table}: last")
        _keep(self, table=table, on=_pairs(on), last=reach, take=taken, strategy=strategy)


@dataclass(frozen=True, init=False)
class Columns:
    """Row-local expressions, in order; later ones see earlier ones."""

    take: tuple[tuple[str, Expression], ...]

    def __init__(self, take: Expressions) -> None:
        items = take.items() if isinstance(take, Mapping) else take
        _keep(self, take=tuple((new, _expression(found)) for new, found in items))


Step = Lookup | AsOf | Window | Columns

STRATEGIES = ("broadcast", "shuffle")
"""How a table comes to the rows: whole to every task, or both sides shuffled by key. Without one the size decides."""


@dataclass(frozen=True, init=False)
class Rule:
    """A condition that must be true, else the row is rejected with RULE:<name>."""

    name: str
    condition: Expression

    def __init__(self, *, name: str, condition: str | Expression) -> None:
        _keep(self, name=name, condition=_expression(condition))


def _keep(noun: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(noun, name, value)  # the nouns are frozen


def _pairs(given: Names) -> Pairs:
    items = given.items() if isinstance(given, Mapping) else (given,) if isinstance(given, str) else given
    return tuple((item, item) if isinstance(item, str) else item for item in items)


def _declared(given: Declared, *, owner: str) -> tuple[Column, ...]:
    if not isinstance(given, Mapping):
        return tuple(given)
    types = {name: parse_declared(text, where=f"{owner}.columns.{name}") for name, text in given.items()}
    return tuple(Column(name=name, type=found.name, nullable=found.nullable) for name, found in types.items())


def _duration(given: timedelta | str, *, where: str) -> timedelta:
    if isinstance(given, timedelta):
        if given % timedelta(seconds=1):
            raise bad_value(where, given=str(given), allowed="a duration of whole seconds")
        given = duration_text(given)
    return Reader(value=given, source=where).duration()


def _expression(given: str | Expression) -> Expression:
    return Expression.of(given) if isinstance(given, str) else given
