"""What a transform refuses before data is read: frames, expressions and sessions."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from checked_world import GOOD, ROWS, WIDE, tables
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from wide_cases import frame

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.spec.sql import Expression
from spark_scoring.spec.wide import Aggregate, Columns, Lookup, Rule, WideTable, Window
from spark_scoring.wide import transform


def test_a_frame_that_breaks_its_contract_is_refused_before_data_is_read(spark: SparkSession) -> None:
    rows, given = frame(spark, [GOOD], ROWS), tables(spark)
    cases = [
        (rows, {"planes": given["planes"]}, RunError, "table 'weather' is not given"),
        (
            rows,
            {**given, "weather": given["weather"].drop("temp")},
            RunError,
            "'weather': column 'temp' is missing",
        ),
        (rows.drop("Origin"), given, RunError, "rows: column 'Origin' is missing"),
        (
            rows.withColumn("id", F.col("id").cast("int")),
            given,
            RunError,
            "column 'id' is int, declared bigint",
        ),
        (rows.withColumn("seats", F.lit(1)), given, RunError, "column 'seats' has a name"),
        (rows.withColumn("Rejected", F.lit(1)), given, RunError, "column 'Rejected' has a name"),
        (rows.withColumn("__wide_at", F.lit(1)), given, RunError, "column '__wide_at' has a name"),
        (rows.select("*", F.lit(1).alias("ID")), given, RunError, "column 'id' is there twice"),
        (
            rows.select("*", F.lit(1).alias("e"), F.lit(1).alias("E")),
            given,
            RunError,
            "column 'e' is there twice",
        ),
    ]
    for given_rows, given_tables, kind, message in cases:
        with pytest.raises(kind, match=message):
            transform(WIDE, given_rows, given_tables)


def by_hand(sql: str, *columns: str) -> Expression:
    """An expression of a type that only Spark knows."""
    return Expression(text=sql, sql=sql, columns=columns)


KEYED = (
    Columns(take=(("k", by_hand("seats + 1", "seats")),)),
    Lookup(table="planes", on=(("k", "tail"),), take=(("again", "seats"),)),
)
NOT_BOOLEAN = Rule(name="seated", condition=by_hand("seats + 1", "seats"))
IMPOSSIBLE = Columns(take=(("sum", by_hand("seats + array(1)", "seats")),))
MEAN = Window(
    table="weather",
    on=(("Origin", "origin"),),
    last=timedelta(hours=1),
    take=(("m", Aggregate(function="mean", argument=by_hand("origin", "origin"))),),
)
CUT = replace(MEAN, take=(("c", Aggregate(function="count", where=by_hand("temp", "temp"))),))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": (WIDE.steps[0], *KEYED)}, "'k' is int, the table's 'tail' is string"),
        ({"rules": (NOT_BOOLEAN,)}, "the condition 'seats \\+ 1' is int, not boolean"),
        ({"steps": (WIDE.steps[0], IMPOSSIBLE)}, r"checked: steps\[1\]: Spark cannot plan this step"),
        ({"steps": (MEAN,)}, "mean of string"),
        ({"steps": (CUT,)}, "the condition 'temp' is double, not boolean"),
    ],
)
def test_an_expression_of_another_type_is_refused_before_data_is_read(
    spark: SparkSession, changes: dict[str, Any], message: str
) -> None:
    parts = {"name": WIDE.name, "rows": WIDE.rows, "tables": WIDE.tables, "steps": WIDE.steps, "rules": ()}
    wide = WideTable.unchecked(**{**parts, **changes})
    with pytest.raises(ConfigError, match=message):
        transform(wide, frame(spark, [GOOD], ROWS), tables(spark))


def test_what_is_no_frame_or_no_version_of_a_table_is_refused(spark: SparkSession) -> None:
    rows, known = frame(spark, [GOOD], ROWS), tables(spark)
    stream = spark.readStream.format("rate").load().selectExpr("'a' as tail", "1 as seats")
    kinds: list[tuple[Any, Any, str]] = [
        (None, known, "rows: expected a Spark DataFrame, got builtins.NoneType."),
        (rows.toPandas(), known, "rows: expected a Spark DataFrame, got pandas"),
        (rows, list(known.values()), "tables: expected a mapping {table: frame}, got list."),
        (
            rows,
            {**known, "planes": known["planes"].toPandas()},
            "table 'planes': expected a Spark DataFrame, got pandas",
        ),
        (
            rows,
            {**known, "planes": stream},
            "table 'planes': expected the table as it is at one version, from spark.read",
        ),
    ]
    for given, there, message in kinds:
        with pytest.raises(ConfigError) as caught:
            WIDE.transform(given, there)
        assert str(caught.value).startswith(message)


def test_a_field_is_one_whatever_the_tables_view_is_called(spark: SparkSession) -> None:
    columns = {"k": "string", "t": "timestamp", "weather": "struct<temp:double>", "temp": "double"}
    wide = WideTable.unpack(
        {
            "name": "fields",
            "rows": {"key": ["k"], "time": "at", "columns": {"k": "string", "at": "timestamp not null"}},
            "tables": {"weather": {"time": "t", "columns": columns}},
            "steps": [{"window": "weather", "on": ["k"], "last": "2h", "take": {"f": "mean(weather.temp)"}}],
        }
    )
    rows = spark.sql("select 'a' as k, timestamp'2013-09-01 10:00:00' as at")
    time = "timestamp'2013-09-01 09:00:00' as t"
    table = spark.sql(f"select 'a' as k, {time}, named_struct('temp', 5.0D) as weather, 99.0D as temp")
    table.createOrReplaceTempView("weather")
    try:
        found = [wide.transform(rows, {"weather": given}).first()["f"] for given in (table, spark.table("weather"))]
    finally:
        spark.catalog.dropTempView("weather")
    assert found == [5.0, 5.0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spark.sql.ansi.enabled", "false"),
        ("spark.sql.session.timeZone", "America/New_York"),
        ("spark.sql.timestampType", "TIMESTAMP_NTZ"),
        ("spark.sql.parser.escapedStringLiterals", "true"),
        ("spark.sql.decimalOperations.allowPrecisionLoss", "false"),
        ("spark.sql.legacy.timeParserPolicy", "LEGACY"),
        ("spark.sql.legacy.decimal.retainFractionDigitsOnTruncate", "true"),
        ("spark.sql.legacy.exponentLiteralAsDecimal.enabled", "true"),
        ("spark.sql.legacy.literal.pickMinimumPrecision", "false"),
        ("spark.sql.caseSensitive", "true"),
    ],
)
def test_a_session_in_which_expressions_mean_something_else_is_refused(
    spark: SparkSession, name: str, value: str
) -> None:
    columns = {"k": "string", "at": "timestamp not null"}
    plain = {"name": "plain", "rows": {"key": ["k"], "time": "at", "columns": columns}}
    hours = WideTable.unpack({**plain, "steps": [{"columns": {"h": "hour(at)"}}]})
    other = spark.newSession()
    rows = other.sql("select 'a' as k, timestamp'2013-09-01 10:00:00' as at")
    other.conf.set(name, value)
    with pytest.raises(ConfigError, match=f"this session has {name} = '{value}'"):
        hours.transform(rows, {})
    assert WideTable.unpack(plain).transform(rows, {}).count() == 1
