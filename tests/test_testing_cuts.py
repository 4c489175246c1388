"""The helpers for users' own pipelines: frames in memory, and the law of cuts."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from spark_scoring import AsOf, Rows, Table, WideTable
from spark_scoring.errors import ConfigError, RunError
from spark_scoring.testing import check_cuts, frame

ROWS = Rows(
    key="id",
    time="at",
    columns={"id": "bigint not null", "place": "string", "at": "timestamp not null", "day": "date",
             "local": "timestamp_ntz", "x": "double", "paid": "decimal(10,2)"},
)  # fmt: skip
WEATHER = Table(name="weather", time="seen", columns={"place": "string", "seen": "timestamp", "temp": "double"})
WIDE = WideTable(
    name="small",
    rows=ROWS,
    tables=[WEATHER],
    steps=[AsOf(table="weather", on="place", take={"temp": "temp"})],
)
NOON = datetime(2013, 9, 9, 12, tzinfo=UTC)


def rows_of(spark: SparkSession, *, count: int = 20) -> DataFrame:
    places = ("EWR", "ü", None)
    return frame(
        spark,
        WIDE.rows,
        [{"id": i // 2, "place": places[i % 3], "at": NOON + timedelta(minutes=i), "x": i / 7} for i in range(count)],
    )


def weather_of(spark: SparkSession) -> DataFrame:
    seen = ("2013-09-09T11:00:00Z", "2013-09-09T12:07:00.000001Z")
    return frame(spark, WIDE.table("weather"), [{"place": "EWR", "seen": at, "temp": 70} for at in seen])


def test_a_frame_has_the_contract_s_types_and_null_for_what_is_left_out(spark: SparkSession) -> None:
    east = datetime(2013, 9, 9, 14, tzinfo=timezone(timedelta(hours=2)))
    made = frame(
        spark, ROWS,
        [{"ID": 1, "at": east, "day": "2013-09-09", "local": "2013-09-09T07:00:00", "x": 1, "paid": 2},
         {"at": "2013-09-09T07:00:00-05:00", "day": date(2013, 9, 10), "paid": Decimal("0.10")},
         {}],
    )  # fmt: skip
    assert [field.dataType.simpleString() for field in made.schema] == [column.type for column in ROWS.columns]
    assert [
        tuple(row) for row in made.selectExpr("id", "string(at)", "day", "string(local)", "x", "paid").collect()
    ] == [
        (1, "2013-09-09 12:00:00", date(2013, 9, 9), "2013-09-09 07:00:00", 1.0, Decimal("2.00")),
        (None, "2013-09-09 12:00:00", date(2013, 9, 10), None, None, Decimal("0.10")),
        (None,) * 6,
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"plce": "EWR"}, r"rows\[1\]: .*'plce'.*place"),
        ({"place": 7}, r"rows\[1\].place: .*text"),
        ({"at": "2013-09-09T07:00:00"}, r"rows\[1\].at: .*zone"),
        ({"at": "noon"}, r"rows\[1\].at: .*zone"),
        ({"at": NOON.replace(tzinfo=None)}, r"rows\[1\].at: .*zone"),
        ({"local": NOON}, r"rows\[1\].local: .*without a zone"),
        ({"day": NOON}, r"rows\[1\].day: .*2013-09-09"),
        ({"id": 1.5}, "id.*1.5"),
        ({"id": 2**63}, "9223372036854775807"),
    ],
)
def test_a_value_of_another_type_is_refused(spark: SparkSession, row: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        frame(spark, ROWS, [{}, row])


def test_a_wide_table_is_the_same_however_it_is_cut(spark: SparkSession) -> None:
    tables = {"weather": weather_of(spark)}
    check_cuts(lambda rows: WIDE.transform(rows, tables), rows_of(spark))
    check_cuts(lambda rows: WIDE.transform(rows, tables), rows_of(spark, count=0))


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        (lambda rows: rows.withColumn("rank", F.row_number().over(Window.orderBy("at"))), "differ in rank[.]"),
        (lambda rows: rows.withColumn("x", F.col("x") - F.mean("x").over(Window.partitionBy())), "differ in x[.]"),
        (lambda rows: rows.dropDuplicates(["place"]).select("place"), "differ in place[.]"),
        (lambda rows: rows.selectExpr("count(*) as n"), "differ in n[.]"),
    ],
)
def test_what_looks_at_other_rows_is_found(
    spark: SparkSession, pipeline: Callable[[DataFrame], DataFrame], said: str
) -> None:
    with pytest.raises(RunError, match=f"seed 7.*{said}"):
        check_cuts(pipeline, rows_of(spark), seed=7)
