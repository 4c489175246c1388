"""A frame over other rows than those it was planned over, as if it had been planned over them."""

import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_scoring.jvm.kept import KeptRows
from spark_scoring.jvm.planned import Planned


def rows(spark: SparkSession, *ids: int) -> DataFrame:
    # an RDD, as a micro-batch is one
    return spark.createDataFrame(spark.sparkContext.parallelize([(i, f"r{i}") for i in ids]), "id bigint, name string")


def made_of(given: DataFrame) -> DataFrame:
    kept = KeptRows.of(given.sparkSession.sql("select id, 2 * id as double from range(6)"))
    return given.selectExpr("*", f"{kept.row('id')} as known").selectExpr("name", "known.double + id as sum")


def test_it_is_what_is_made_of_the_other_rows(spark: SparkSession) -> None:
    first, second, third = rows(spark, 0, 1), rows(spark, 2, 9), rows(spark)
    planned = Planned(rows=first, frame=made_of(first))

    found = [planned.over(others) for others in (second, third, first)]

    assert [[tuple(row) for row in frame.collect()] for frame in found if frame] == [
        [("r2", 6), ("r9", None)],
        [],
        [("r0", 0), ("r1", 3)],
    ]


@pytest.mark.parametrize("how", ["twice", "not at all", "other types"])
def test_where_rows_would_be_left_behind_it_is_not_made(spark: SparkSession, how: str) -> None:
    first, others = rows(spark, 0, 1), rows(spark, 2)
    frame = first.union(first.where("id = 1")) if how == "twice" else first
    given = Planned(rows=others if how == "not at all" else first, frame=frame)
    assert given.over(others.selectExpr("int(id) as id", "name") if how == "other types" else rows(spark, 3)) is None
