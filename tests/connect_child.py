"""Scores packages in a session of Spark Connect: `connect_child.py FOLDER PACKAGE…`, rows.parquet -> scored.parquet.

A process has one kind of session, so the tests of it need another process.
"""

import sys
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import spark_scoring
from spark_scoring.errors import RunError
from spark_scoring.models.api import Model
from spark_scoring.models.package import read_package

SETTINGS = {"spark.connect.grpc.binding.address": "127.0.0.1", "spark.ui.enabled": "false"}


def main(folder: Path, names: list[str]) -> None:
    """Every row twice over: by all models at once, those of less than 100 seats left out."""
    builder = SparkSession.builder.remote("local[2]")
    for setting in SETTINGS.items():
        builder = builder.config(*setting)
    spark = builder.getOrCreate()
    packages: list[Model] = [read_package(folder / name, uri=name, name=name, version="1") for name in names]
    rows = spark.createDataFrame(pq.read_table(folder / "rows.parquet"))
    wanted = F.coalesce(F.col("seats") >= 100, F.lit(True))
    found = spark_scoring.score_rows(rows, packages, where=wanted).select("id", "scores").toArrow()
    pq.write_table(found, folder / "scored.parquet")
    try:
        spark_scoring.score_rows(rows, packages[:1], runtime="compiled")
    except RunError as error:
        (folder / "refused.txt").write_text(str(error))
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
