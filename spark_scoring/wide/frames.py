"""What the steps share: columns by name, instants in microseconds, a left join with at most one match."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import and_, or_
from typing import Any, Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_scoring.spec.wide import Rows, Table
from spark_scoring.wide.strategy import BROADCAST, Strategy

HELPER = "__wide_"
REJECTED = "rejected"
FEW = 32

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_US = 2**62


Keys = Mapping[str, tuple[Any, ...]]
"""Of columns of the rows, by their names in lower case, every value that there is but null."""


class Keeper(Protocol):
    """Whoever keeps the indexes of tables from one transform to the next."""

    def keeps(self, table: str) -> bool:
        """Whether an index of the table can be used again: it is then made of the whole table."""
        ...

    def index(self, frame: DataFrame, *, tables: tuple[str, ...], what: str) -> DataFrame:
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


def kept(tables: Sequence[Given], index: DataFrame, *, what: object) -> DataFrame:
    """The tables' side of a join, kept if there is a keeper, and told how to come to the rows."""
    first = tables[0]
    if first.keeper is not None:
        contracts = [table.contract for table in tables]
        made_of = repr((what, contracts))
        index = first.keeper.index(index, tables=tuple(found.name for found in contracts), what=made_of)
    return first.strategy.hinted(index)


def column(name: str) -> Column:
    """The column of exactly this name, dots and backticks included."""
    return F.col(f"`{name.replace('`', '``')}`")


def helper(name: str) -> Column:
    """A column that lives inside one step only."""
    return F.col(HELPER + name)


def all_of(conditions: Iterable[Column]) -> Column:
    """True where every condition is true."""
    return reduce(and_, conditions)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def length_us(duration: timedelta) -> int:
    """Microseconds; what is longer than 146,000 years is that long, so that sums stay inside a bigint."""
    return min(duration // _MICROSECOND, _LONGEST_US)


def bounds_us(rows: Rows) -> tuple[int, int]:
    """The rows' `time_range` in microseconds, half open."""
    start, end = rows.time_range
    return micros(start), micros(end)


def instant(rows: Rows) -> Column:
    """The row's time in microseconds; null, and so without a match, where it is outside `time_range`."""
    time, (start, end) = column(rows.time), bounds_us(rows)
    inside = (time >= F.timestamp_micros(F.lit(start))) & (time < F.timestamp_micros(F.lit(end)))
    return F.when(inside, F.unix_micros(time))


def bucket_width(reach_us: int | None, *, table: Given) -> int | None:
    """The width of the time buckets of an equi-join; None for one bucket that holds everything.

    A table that is sent whole needs no more, and is too small for long arrays; the parts of any other stay short.
    """
    start, end = bounds_us(table.rows)
    if table.strategy.name == BROADCAST or reach_us is None or reach_us >= end - start:
        return None
    return max(reach_us, 1)


def bucket(instant_us: Column, *, width: int | None) -> Column:
    """The first microsecond of the bucket that holds an instant; without a width there is one bucket, 0."""
    start = F.lit(0) if width is None else instant_us - F.pmod(instant_us, F.lit(width))
    return start.cast("bigint")


def in_buckets(items: DataFrame, *, ends: Sequence[Column], width: int | None) -> DataFrame:
    """Each item once for each bucket that it touches: those of its two ends, which are no further apart than one."""
    if width is None:
        return items.withColumn(f"{HELPER}bucket", bucket(F.lit(0), width=None))
    touched = F.array_distinct(F.array(*[bucket(end, width=width) for end in ends]))
    return items.withColumn(f"{HELPER}bucket", F.explode(touched))


def key_columns(on: Sequence[tuple[str, str]]) -> list[Column]:
    """The table's side of `on`, under the names that `keys_match` expects."""
    return [column(right).alias(f"{HELPER}key_{i}") for i, (_, right) in enumerate(on)]


def key_names(on: Sequence[tuple[str, str]]) -> list[str]:
    """The names of `key_columns`."""
    return [f"{HELPER}key_{i}" for i in range(len(on))]


def keys_match(on: Sequence[tuple[str, str]]) -> Column:
    """The join condition of `on`; a null key matches nothing."""
    return all_of(column(left) == helper(f"key_{i}") for i, (left, _) in enumerate(on))


def keys_known(on: Sequence[tuple[str, str]]) -> Column:
    """True for the table rows whose whole key is there."""
    return all_of(column(right).isNotNull() for _, right in on)


def keys_of_rows(table: Given, *, on: Sequence[tuple[str, str]]) -> list[Column]:
    """Conditions that leave out table rows which no row has the key of; literals, so that they reach the files."""
    known = [(column(right), table.keys[left.lower()]) for left, right in on if left.lower() in table.keys]
    return [_one_of(there, values) for there, values in known]


def _one_of(there: Column, values: tuple[Any, ...]) -> Column:
    if not values:
        return F.lit(False)
    # files are skipped by each of a few values, but only by the least and greatest of a list
    return reduce(or_, [there == value for value in values]) if len(values) <= FEW else there.isin(*values)


def with_added(frame: DataFrame, *, before: Sequence[str], added: Sequence[Column], rejected: Column) -> DataFrame:
    """The columns of `before`, then the added ones, `rejected` last; every other column is dropped."""
    kept = [column(name) for name in before if name != REJECTED]
    return frame.select(*kept, *added, rejected.alias(REJECTED))


def reason(code: str, *, detail: str) -> Column:
    """A reason as `rejected` holds it."""
    return F.struct(F.lit(code).alias("code"), F.lit(detail).alias("detail"))
