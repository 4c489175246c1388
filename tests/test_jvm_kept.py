"""Rows that every task holds: found by their key, given up without harm to what was planned."""

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_scoring.jvm.kept import KeptRows, can_be_key

PLANES = "values ('N1', 'EWR', 10), ('N1', 'JFK', 20), ('N2', 'EWR', null) as planes (tail, home, seats)"


@pytest.fixture
def kept(spark: SparkSession) -> KeptRows:
    return KeptRows.of(spark.sql(f"select * from {PLANES}"))


def asked(spark: SparkSession, kept: KeptRows) -> DataFrame:
    keys = "('N1', 'JFK'), ('N2', 'EWR'), ('N2', 'JFK'), (null, 'EWR'), ('N1', null)"
    # of ids, so that the optimizer does not ask by itself
    asking = spark.range(5).selectExpr(f"array({keys})[int(id)].col1 as t", f"array({keys})[int(id)].col2 as h")
    found = asking.selectExpr("t", "h", f"{kept.row('t', 'h')} as plane")
    return found.selectExpr("t", "h", "plane is not null as there", "plane.seats")


def test_a_row_is_found_by_its_whole_key(spark: SparkSession, kept: KeptRows) -> None:
    assert [tuple(row) for row in asked(spark, kept).collect()] == [
        ("N1", "JFK", True, 20),
        ("N2", "EWR", True, None),
        ("N2", "JFK", False, None),
        (None, "EWR", False, None),
        ("N1", None, False, None),
    ]


def test_what_was_planned_goes_on_after_rows_are_given_up_and_nothing_new_finds_them(
    spark: SparkSession, kept: KeptRows
) -> None:
    planned = asked(spark, kept)
    before = planned.collect()

    kept.give_up()
    kept.give_up()

    assert planned.collect() == before
    with pytest.raises((PySparkException, Py4JJavaError), match="these rows were given up"):
        asked(spark, kept)


def test_a_key_that_stands_there_twice_is_refused(spark: SparkSession) -> None:
    kept = KeptRows.of(spark.sql(f"select tail, '' as home, seats from {PLANES}"))
    with pytest.raises((PySparkException, Py4JJavaError), match="a key twice"):
        asked(spark, kept).collect()


def test_what_can_be_a_key() -> None:
    assert can_be_key(["string", "decimal(10,2)", "timestamp_ntz"])
    assert not can_be_key(["string", "array<int>"])
    assert not can_be_key(["struct<a:int>"])
