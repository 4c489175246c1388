"""A plain broadcast lookup join that takes the same columns: the floor of what any step can cost."""

from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from work import Table, Work


def lookup_join(work: Work, read: Callable[[Table], DataFrame]) -> DataFrame:
    """The table row of the row's own key and hour, by equality. Where an hour is missing it knows less than as-of."""
    frame = read(work.rows)
    for step in work.as_of:
        taken = [F.col(column).alias(name) for column, name in zip(step.take, step.names(), strict=True)]
        table = read(step.table).select(F.col("k").alias("key"), F.col("t").alias("on_the"), *taken)
        same = (F.col("k") == F.col("key")) & (F.col("hour") == F.col("on_the"))
        frame = frame.join(F.broadcast(table), same, "left").drop("key", "on_the")
    return frame
