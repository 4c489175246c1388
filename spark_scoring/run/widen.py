"""Widen: the training set, by the same code that scores."""

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyspark.sql.functions as F
from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import delta, sources
from spark_scoring.run import inputs
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Interval, Plan
from spark_scoring.spec.wide import WideTable
from spark_scoring.wide import transform


def sample(spark: SparkSession, path: str, *, most: int) -> pa.Table:
    """Some rows of a training set, to package a model with.

    Raises: ConfigError: there is no such table.
    """
    if not delta.is_table(spark, path):
        raise errors.no_sample(path)
    return spark.read.format("delta").load(path).limit(most).toArrow()


@dataclass(frozen=True, kw_only=True)
class Widened:
    """The Delta table that was written, its rows, and the rows left out by reason code."""

    path: str
    rows: int
    rejected: tuple[tuple[str, int], ...]


def widen(
    spark: SparkSession,
    job: Job,
    wide: WideTable,
    *,
    start: datetime,
    end: datetime,
    out: str,
    clock: datetime,
) -> Widened:
    """Write the wide table of the batch rows with event times in [start, end), UTC, to the Delta table `out`.

    Rejected rows are left out and counted. Writing an interval again replaces it.

    Raises: ConfigError: the job has no batch rows. RunError: a source or table is not fit.
    """
    if job.batch is None:
        raise errors.missing_part(job.path, part="rows.batch", command="widen")
    tables = inputs.pin_tables(spark, job, wide)
    rows = sources.pin(spark, job.batch, name="rows.batch")
    time = F.col(f"`{wide.rows.time}`")
    frame = sources.read(spark, rows, columns=wide.rows.columns)
    frame = frame.where((time >= F.lit(start)) & (time < F.lit(end)))
    whole = transform(wide, frame, tables.frames(spark), within=(start, end)).persist()
    try:
        reasons = whole.where("rejected is not null").groupBy("rejected.code").count().orderBy("code").collect()
        good = whole.where("rejected is null")
        good = good.select(*[f"`{name}`" for name in good.columns if name != "rejected" and not name.startswith("__")])
        plan = Plan(
            commit_id=f"{job.name}/widen",
            clock=clock,
            input=Interval(bounds=(start, end), version=rows.version),
            tables=tables.versions,
            models=(),
        )
        between = f"`{wide.rows.time}` >= timestamp'{start}' and `{wide.rows.time}` < timestamp'{end}'"
        delta.replace_where(good, out, predicate=between, metadata=plan.dump(), partition_by=())
        counted = good.count()
    finally:
        whole.unpersist()
    return Widened(path=out, rows=counted, rejected=tuple((row["code"], row["count"]) for row in reasons))
