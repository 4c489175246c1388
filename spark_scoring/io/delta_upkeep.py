"""Upkeep of Delta tables: their layout and properties, small files made into large ones, checkpoints of the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyspark.sql.functions as F
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from spark_scoring.io import delta_log

# a feed's small files become files of this size, and those are left alone: upkeep must not rewrite a whole table
WHOLE_FILE = 64 * 2**20
_ASIDE = {
    # SQL over a path is switched off where users' expressions run
    "spark.sql.runSQLOnFiles": "true",
    "spark.databricks.delta.snapshotPartitions": "2",
    # one file at a time: a stream needs the other cores
    "spark.databricks.delta.optimize.maxThreads": "1",
    "spark.databricks.delta.optimize.minFileSize": str(WHOLE_FILE),
    "spark.databricks.delta.optimize.maxFileSize": str(2 * WHOLE_FILE),
    # clustered files below these 100 GB would be sorted again each time
    "spark.databricks.delta.optimize.clustering.mergeStrategy.minCubeSize.threshold": str(2 * WHOLE_FILE),
    "spark.databricks.delta.optimize.clustering.mergeStrategy.minCubeSize.targetCubeSize": str(4 * WHOLE_FILE),
}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns that a table's files are split or sorted by, and its own properties."""

    partitioned: tuple[str, ...]
    clustered: tuple[str, ...]
    properties: Mapping[str, str]


def layout(spark: SparkSession, path: str) -> Layout:
    """How the table lies on disk, and its properties."""
    row = DeltaTable.forPath(spark, path).detail().select("partitionColumns", "clusteringColumns", "properties").first()
    assert row is not None
    return Layout(
        partitioned=tuple(row["partitionColumns"]),
        clustered=tuple(row["clusteringColumns"]),
        properties=dict(row["properties"]),
    )


def set_property(spark: SparkSession, path: str, name: str, value: str) -> None:
    """Write one table property."""
    _aside(spark).sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('{name}' = '{value}')")


def cluster_by(spark: SparkSession, path: str, columns: Sequence[str]) -> None:
    """Let `compact` sort the table's files by these columns: Delta's liquid clustering. Nothing is rewritten yet."""
    named = ", ".join(f"`{column}`" for column in columns)
    _aside(spark).sql(f"ALTER TABLE delta.`{path}` CLUSTER BY ({named})")


def bytes_to_compact(spark: SparkSession, path: str) -> int:
    """How much `compact` would rewrite: small files, or in a clustered table those that were never sorted."""
    files = DataFrame(delta_log.newest(spark, path).allFiles().toDF(), spark)
    if layout(spark, path).clustered:
        waiting = files.where("clusteringProvider is null")
    else:
        # a small file that is alone in its partition stays as it is
        small = files.where(f"size < {WHOLE_FILE}").selectExpr("to_json(partitionValues) as place", "size")
        waiting = small.groupBy("place").agg(F.sum("size").alias("size"), F.count("size").alias("n")).where("n > 1")
    (row,) = waiting.selectExpr("sum(size) as bytes").collect()
    return row["bytes"] or 0


def compact(spark: SparkSession, path: str) -> None:
    """Make few files of many small ones, sorted if the table is clustered; a commit that changes no data."""
    DeltaTable.forPath(_aside(spark), path).optimize().executeCompaction()


def checkpoint(spark: SparkSession, path: str, *, every: int) -> None:
    """Write a checkpoint of the log if there are as many commits since the last one."""
    log, snapshot = delta_log.of(spark, path), delta_log.newest(spark, path)
    if snapshot.version() - snapshot.logSegment().checkpointProvider().version() >= every:
        log.checkpoint(snapshot, spark._jvm.scala.Option.empty())  # type: ignore[union-attr]


def _aside(spark: SparkSession) -> SparkSession:
    """A session for upkeep, whose settings no query of the job's own session sees."""
    aside = spark.newSession()
    for setting, value in _ASIDE.items():
        aside.conf.set(setting, value)
    return aside
