"""Databricks Labs tempo: `TSDF.asofJoin` as its documentation uses it."""

from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from tempo import TSDF
from work import Table, Work


def tempo_as_of(work: Work, read: Callable[[Table], DataFrame]) -> DataFrame:
    """One `asofJoin` for each step. It skips nulls; there are none in the tables."""
    rows = read(work.rows)
    frame = rows
    for step in work.as_of:
        name = step.table.name
        # tempo joins all columns of a table: it gets those that are wanted
        right = TSDF(read(step.table).select("k", "t", *step.take), ts_col="t", partition_cols=["k"])
        left = TSDF(frame, ts_col="t", partition_cols=["k"])
        frame = left.asofJoin(right, right_prefix=name, tolerance=step.max_age_s).df.drop(f"{name}_t")
    return frame.select(*[F.col(column) for column in (*rows.columns, *work.added())])
