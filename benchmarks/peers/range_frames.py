"""Range frames of Spark's window functions, over the union of rows and history."""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame, WindowSpec
from pyspark.sql import Window as Frame
from pyspark.sql import functions as F
from work import START_S, Table, Window, Work

SEGMENT_TREE = {"spark.sql.window.segmentTree.enabled": "true"}


def range_frames(work: Work, read: Callable[[Table], DataFrame]) -> DataFrame:
    """All windows over one union and one sort; the session decides between the default frame and the segment tree."""
    rows, table = read(work.rows), _reached(read(work.window_table()), work=work)
    absent = [F.lit(None).cast(kind).alias(name) for name, kind in rows.dtypes if name not in ("k", "t")]
    history = table.select("k", "t", *absent, "v3", F.lit(1).alias("is_item"))
    both = rows.select(*rows.columns, F.lit(None).cast("double").alias("v3"), F.lit(None).cast("int").alias("is_item"))
    both = both.unionByName(history).withColumn("at", F.unix_seconds("t"))
    framed = both.select(*rows.columns, "is_item", *[column for step in work.windows for column in _aggregates(step)])
    return framed.where(F.col("is_item").isNull()).drop("is_item")


def _reached(table: DataFrame, *, work: Work) -> DataFrame:
    if not work.cut:
        return table
    first = START_S + work.rows.from_s - max(window.last_s for window in work.windows)
    last = START_S + work.rows.to_s
    return table.where(F.col("t").between(F.timestamp_seconds(F.lit(first)), F.timestamp_seconds(F.lit(last))))


def _aggregates(step: Window) -> list[Column]:
    # whole seconds: [at - last, at - 1] is [t - last, t)
    frame = Frame.partitionBy("k").orderBy("at").rangeBetween(-step.last_s, -1)
    return [_aggregate(name, over=frame).alias(new) for name, new in zip(step.take, step.names(), strict=True)]


def _aggregate(name: str, *, over: WindowSpec) -> Column:
    return F.count("is_item").over(over) if name == "count" else getattr(F, name)("v3").over(over)
