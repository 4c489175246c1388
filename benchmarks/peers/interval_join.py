"""The interval join by hand: each table row is valid until the next one, cut into time buckets, joined by equality."""

from collections.abc import Callable

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from work import AsOf, Table, Work


def interval_join(work: Work, read: Callable[[Table], DataFrame]) -> DataFrame:
    """One join for each as-of step; the intervals are broadcast where they are small."""
    rows = read(work.rows)
    frame = rows.withColumns({"at": F.unix_seconds("t"), "bucket": F.floor(F.unix_seconds("t") / work.bucket_s)})
    for step in work.as_of:
        intervals = _intervals(read(step.table), step=step, bucket_s=work.bucket_s)
        intervals = F.broadcast(intervals) if work.broadcast else intervals
        inside = (F.col("at") >= F.col("since")) & (F.col("at") < F.col("until"))
        same = (F.col("k") == F.col("key")) & (F.col("bucket") == F.col("touched"))
        frame = frame.join(intervals, same & inside, "left").drop("key", "touched", "since", "until")
    return frame.select(*rows.columns, *work.added())


def _intervals(table: DataFrame, *, step: AsOf, bucket_s: int) -> DataFrame:
    """`since` <= second < `until`: the taken values are the answer. All times are whole seconds."""
    following = F.lead(F.unix_seconds("t")).over(Window.partitionBy("k").orderBy("t"))
    taken = [F.col(column).alias(name) for column, name in zip(step.take, step.names(), strict=True)]
    valid = table.select(F.col("k").alias("key"), F.unix_seconds("t").alias("since"), following.alias("next"), *taken)
    valid = valid.withColumn("until", F.least("next", F.col("since") + step.max_age_s + 1)).drop("next")
    first, last = F.floor(F.col("since") / bucket_s), F.floor((F.col("until") - 1) / bucket_s)
    return valid.withColumn("touched", F.explode(F.sequence(first, last)))
