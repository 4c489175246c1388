"""What a wide-table definition is made of: frozen dataclasses, no behaviour beyond look-ups."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spark_scoring.spec.sql import Expression

EPOCH_TO_2100 = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, kw_only=True)
class Column:
    """A declared column; `type` in Spark's own spelling."""

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What is scored. `time_range` is UTC, half open."""

    key: tuple[str, ...]
    time: str
    columns: tuple[Column, ...]
    time_range: tuple[datetime, datetime] = EPOCH_TO_2100


@dataclass(frozen=True, kw_only=True)
class Table:
    """The contract of a joined table; `known_at` names the column that says when a row became known."""

    name: str
    columns: tuple[Column, ...]
    time: str | None = None
    known_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """One aggregate of a window; `count` without argument is `count(*)`."""

    function: str
    argument: Expression | None = None
    where: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class Lookup:
    """At most one table row per key. `on`: (row column, table column); `take`: (new name, table column)."""

    table: str
    on: tuple[tuple[str, str], ...]
    take: tuple[tuple[str, str], ...]
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class AsOf:
    """The last table row known at the row's time; `strict` leaves out a table row of the same instant."""

    table: str
    on: tuple[tuple[str, str], ...]
    take: tuple[tuple[str, str], ...]
    max_age: timedelta | None = None
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class Window:
    """Aggregates of the table rows in the `last` stretch before the row's time."""

    table: str
    on: tuple[tuple[str, str], ...]
    last: timedelta
    take: tuple[tuple[str, Aggregate], ...]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Row-local expressions, in order; later ones see earlier ones."""

    take: tuple[tuple[str, Expression], ...]


Step = Lookup | AsOf | Window | Columns


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A condition that must be true, else the row is rejected with RULE:<name>."""

    name: str
    condition: Expression
