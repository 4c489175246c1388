"""What some rows can reach of the tables: their event times and, where they are few, their keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pyspark.sql import DataFrame

from spark_scoring.spec.wide import Columns, WideTable
from spark_scoring.wide.frames import EPOCH, MICROSECOND, Keeper, Keys, column, instant
from spark_scoring.wide.strategy import BROADCAST, strategy_of

MOST_KEYS = 1000
# Bounds are literals, for which Spark compiles the code of a micro-batch anew: rounded, they stand still for a while.
WHOLE_US = 10 * 60 * 1_000_000
# types whose values a literal holds exactly, and by whose least and greatest value Delta skips files
_PLAIN = ("string", "tinyint", "smallint", "int", "bigint", "date")


@dataclass(frozen=True, kw_only=True)
class Reach:
    """`times`: an interval, half open, that holds all usable event times of the rows. `keys`: see `transform`."""

    times: tuple[datetime, datetime]
    keys: Keys = field(default_factory=dict)


def reach_of(rows: DataFrame, wide: WideTable, *, are_few: bool = False) -> Reach:
    """The reach of these rows; runs a job, two unless they `are_few`: then all their keys fit into one row.

    Without a usable time it is the first instant of `time_range`.
    """
    low, high = wide.rows.time_range
    usable = instant(wide.rows)
    names = _plain_keys(wide) if are_few else _of_few_values(rows, _plain_keys(wide))
    # one more than is used tells that there are too many
    values = [f"slice(collect_set({column(name)}), 1, {MOST_KEYS + 1}) as key_{i}" for i, name in enumerate(names)]
    first = rows.selectExpr(f"min({usable}) as low", f"max({usable}) as high", *values).first()
    assert first is not None
    found = {name.lower(): tuple(first[f"key_{i}"]) for i, name in enumerate(names)}
    keys = {name: values for name, values in found.items() if len(values) <= MOST_KEYS}
    if first["low"] is None:
        return Reach(times=(low, low + MICROSECOND), keys=keys)
    start, end = first["low"] // WHOLE_US * WHOLE_US, (first["high"] // WHOLE_US + 1) * WHOLE_US
    return Reach(times=(max(low, EPOCH + start * MICROSECOND), min(high, EPOCH + end * MICROSECOND)), keys=keys)


def _of_few_values(rows: DataFrame, names: Sequence[str]) -> list[str]:
    """The columns without those that have far more values than are used."""
    if not names:
        return []
    counts = rows.selectExpr(*[f"approx_count_distinct({column(name)})" for name in names]).first()
    assert counts is not None
    return [name for name, count in zip(names, counts, strict=True) if count <= 2 * MOST_KEYS]


def needs_reach(wide: WideTable, tables: Mapping[str, DataFrame], keeper: Keeper, *, limit: int) -> bool:
    """Whether some step reads no more of a table than the rows reach: all but those whose whole index is kept."""
    return any(
        not keeper.keeps(step.table)
        or strategy_of(step, tables[wide.table(step.table).name], limit=limit).name != BROADCAST
        for step in wide.steps
        if not isinstance(step, Columns)
    )


def _plain_keys(wide: WideTable) -> list[str]:
    """The rows' own columns by which a step joins its table."""
    used = {left.lower() for step in wide.steps if not isinstance(step, Columns) for left, _ in step.on}
    return [found.name for found in wide.rows.columns if found.name.lower() in used and found.type in _PLAIN]
