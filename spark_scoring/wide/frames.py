"""What the steps share: columns by name, instants in microseconds, a left join with at most one match.

Expressions are texts of Spark's SQL: a tree of `Column` costs one call to the JVM for each of its nodes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_scoring.errors import step_not_possible
from spark_scoring.jvm.kept import KeptRows
from spark_scoring.spec.sql_tokens import quote
from spark_scoring.spec.wide import Rows, Table, WideTable
from spark_scoring.wide.strategy import BROADCAST, Strategy

HELPER = "__wide_"
REJECTED = "rejected"
FEW = 32

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_LONGEST_US = 2**62


Key = str | int | date
Keys = Mapping[str, tuple[Key, ...]]
"""Of columns of the rows, by their names in lower case, every value that there is but null."""


class Keeper(Protocol):
    """Whoever keeps the indexes of tables from one transform to the next."""

    def keeps(self, table: str) -> bool:
        """Whether an index of the table can be used again: it is then made of the whole table."""
        ...

    def index(self, frame: DataFrame, *, tables: tuple[str, ...], what: str) -> KeptRows:
        """The index of these tables that was kept, else this one. `what` tells the indexes of the same tables apart."""
        ...


@dataclass(frozen=True, kw_only=True)
class Given:
    """A table as a step meets it: its frame, its contract, the rows it is joined to, and how it comes to them.

    `keys`: what is known of the rows' values; table rows with others can be left out.
    """

    frame: DataFrame
    contract: Table
    rows: Rows
    strategy: Strategy
    keeper: Keeper | None = None
    keys: Keys = field(default_factory=dict)


def beside(
    frame: DataFrame, index: DataFrame, *, tables: Sequence[Given], on: Sequence[tuple[str, str]], what: object
) -> DataFrame:
    """The frame with the columns of the index's row that has the row's key, null where none has it.

    `on`: what of the row equals which column of the index; these are its first. A keeper's index is asked for the row,
    any other is joined.
    """
    first = tables[0]
    if first.keeper is None:
        found = all_of(f"{left} = {right}" for left, right in on)
        return frame.join(first.strategy.hinted(index), F.expr(found), "left")
    contracts = [table.contract for table in tables]
    # an index holds what rows of their time_range reach
    told = repr((what, contracts, first.rows.time_range))
    rows = first.keeper.index(index, tables=tuple(one.name for one in contracts), what=told)
    row = helper("row")
    met = frame.selectExpr("*", f"{rows.row(*[left for left, _ in on])} as {row}")
    taken = [f"{row}.{name} as {name}" for name in index.columns[len(on) :]]
    return met.selectExpr(*map(column, frame.columns), *taken)


def column(name: str) -> str:
    """The column of exactly this name, dots and backticks included."""
    return "`" + name.replace("`", "``") + "`"


def named(value: str, name: str) -> str:
    """The value as a column of exactly this name."""
    return f"{value} as {column(name)}"


def helper(name: str) -> str:
    """A column that lives inside one step only."""
    return HELPER + name


def all_of(conditions: Iterable[str]) -> str:
    """True where every condition is true."""
    return " and ".join(f"({condition})" for condition in conditions)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // MICROSECOND


def length_us(duration: timedelta) -> int:
    """Microseconds; what is longer than 146,000 years is that long, so that sums stay inside a bigint."""
    return min(duration // MICROSECOND, _LONGEST_US)


def bounds_us(rows: Rows) -> tuple[int, int]:
    """The rows' `time_range` in microseconds, half open."""
    start, end = rows.time_range
    return micros(start), micros(end)


def at(instant_us: int) -> str:
    """The timestamp of an instant."""
    return f"timestamp_micros({instant_us}L)"


def instant(rows: Rows) -> str:
    """The row's time in microseconds; null, and so without a match, where it is outside `time_range`."""
    time, (start, end) = column(rows.time), bounds_us(rows)
    return f"case when {time} >= {at(start)} and {time} < {at(end)} then unix_micros({time}) end"


def bucket_width(reach_us: int | None, *, table: Given) -> int | None:
    """The width of the time buckets of an equi-join; None for one bucket that holds everything.

    A table that is sent whole needs no more, and is too small for long arrays; the parts of any other stay short.
    """
    start, end = bounds_us(table.rows)
    if table.strategy.name == BROADCAST or reach_us is None or reach_us >= end - start:
        return None
    return max(reach_us, 1)


def bucket(instant_us: str, *, width: int | None) -> str:
    """The first microsecond of the bucket that holds an instant; without a width there is one bucket, 0."""
    return "0L" if width is None else f"({instant_us}) - pmod({instant_us}, {width}L)"


def buckets(ends: Sequence[str], *, width: int | None) -> str:
    """The buckets that an item touches, one row for each: those of its two ends, no further apart than one."""
    if width is None:
        return "0L"
    touched = ", ".join(bucket(end, width=width) for end in ends)
    return f"explode(array_distinct(array({touched})))"


def key_columns(on: Sequence[tuple[str, str]]) -> list[str]:
    """The table's side of `on`, under the names that `keys_match` expects."""
    return [f"{column(right)} as {HELPER}key_{i}" for i, (_, right) in enumerate(on)]


def key_names(on: Sequence[tuple[str, str]]) -> list[str]:
    """The names of `key_columns`."""
    return [f"{HELPER}key_{i}" for i in range(len(on))]


def key_pairs(on: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The rows' side of `on`, and the names of `key_columns`."""
    return [(column(left), name) for (left, _), name in zip(on, key_names(on), strict=True)]


def keys_match(on: Sequence[tuple[str, str]]) -> str:
    """The join condition of `on`; a null key matches nothing."""
    return all_of(f"{left} = {right}" for left, right in key_pairs(on))


def keys_known(on: Sequence[tuple[str, str]]) -> str:
    """True for the table rows whose whole key is there."""
    return all_of(f"{column(right)} is not null" for _, right in on)


def keys_in(wide: WideTable, keys: Keys) -> Keys:
    """What is known of the rows' values, but of columns that this definition computes."""
    made = {name.lower() for name in wide.columns_added()}
    return {name: values for name, values in keys.items() if name not in made}


def keys_of_rows(table: Given, *, on: Sequence[tuple[str, str]]) -> list[str]:
    """Conditions that leave out table rows which no row has the key of; literals, so that they reach the files."""
    known = [(column(right), table.keys[left.lower()]) for left, right in on if left.lower() in table.keys]
    return [_one_of(there, [_literal(value) for value in values]) for there, values in known]


def _one_of(there: str, values: Sequence[str]) -> str:
    if not values:
        return "false"
    if len(values) > FEW:
        return f"{there} in ({', '.join(values)})"
    # files are skipped by each of a few values, but only by the least and greatest of a list
    return " or ".join(f"{there} = {value}" for value in values)


def _literal(value: Key) -> str:
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    return quote(value) if isinstance(value, str) else str(value)


def with_added(frame: DataFrame, *, before: Sequence[str], added: Sequence[str], rejected: str) -> DataFrame:
    """The columns of `before`, then the added ones, `rejected` last; every other column is dropped."""
    kept = [column(name) for name in before if name != REJECTED]
    return frame.selectExpr(*kept, *added, f"{rejected} as {REJECTED}")


def reason(code: str, *, detail: str) -> str:
    """A reason as `rejected` holds it."""
    return f"named_struct('code', {quote(code)}, 'detail', {quote(detail)})"


@contextmanager
def refusals_of(where: str) -> Iterator[str]:
    """Spark's refusals to plan a step become errors that name the step."""
    try:
        yield where
    except AnalysisException as problem:
        raise step_not_possible(where, problem=str(problem.getMessage())) from problem
