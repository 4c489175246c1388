"""Union + last(struct): rows and tables in one sorted run of each key, the last table row carried forward."""

from collections.abc import Callable
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from work import START_S, AsOf, Table, Work


def union_last(work: Work, read: Callable[[Table], DataFrame]) -> DataFrame:
    """All as-of steps in one pass over one union."""
    rows = read(work.rows)
    empty = [_null(read, step=step).alias(f"s{i}") for i, step in enumerate(work.as_of)]
    sides = [rows.select(*rows.columns, F.lit(True).alias("is_row"), *empty)]
    sides += [_side(work, read, i=i, rows=rows) for i in range(len(work.as_of))]
    # a table row at the row's own instant comes first: false before true
    so_far = Window.partitionBy("k").orderBy("t", "is_row").rowsBetween(Window.unboundedPreceding, 0)
    last = [F.last(f"s{i}", ignorenulls=True).over(so_far).alias(f"s{i}") for i in range(len(work.as_of))]
    carried = reduce(DataFrame.unionByName, sides).select(*rows.columns, "is_row", *last).where("is_row")
    return carried.select(*rows.columns, *[column for i, step in enumerate(work.as_of) for column in _young(step, i=i)])


def _side(work: Work, read: Callable[[Table], DataFrame], *, i: int, rows: DataFrame) -> DataFrame:
    """A table in the shape of the union: its values in the struct of its own step."""
    table = _reached(read(work.as_of[i].table), work=work, step=work.as_of[i])
    own = F.struct("t", *work.as_of[i].take)
    structs = [
        (own if j == i else _null(read, step=step)).alias(f"s{j}") for j, step in enumerate(work.as_of)
    ]  # fmt: skip
    absent = [
        F.lit(None).cast(kind).alias(name) for name, kind in rows.dtypes if name not in ("k", "t")
    ]  # fmt: skip
    return table.select("k", "t", *absent, F.lit(False).alias("is_row"), *structs)


def _reached(table: DataFrame, *, work: Work, step: AsOf) -> DataFrame:
    """What a micro-batch can reach, as its author would cut it by hand."""
    if not work.cut:
        return table
    first, last = START_S + work.rows.from_s - step.max_age_s, START_S + work.rows.to_s
    return table.where(F.col("t").between(F.timestamp_seconds(F.lit(first)), F.timestamp_seconds(F.lit(last))))


def _null(read: Callable[[Table], DataFrame], *, step: AsOf) -> Column:
    kind = read(step.table).select(F.struct("t", *step.take).alias("s")).schema["s"].dataType
    return F.lit(None).cast(kind)


def _young(step: AsOf, *, i: int) -> list[Column]:
    young = F.col("t") <= F.col(f"s{i}.t") + F.make_dt_interval(secs=F.lit(step.max_age_s))
    return [
        F.when(young, F.col(f"s{i}.{column}")).alias(name)
        for column, name in zip(step.take, step.names(), strict=True)
    ]  # fmt: skip
