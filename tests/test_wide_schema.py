"""Contracts of frames, reasons in their order, and what passes through."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from oracle import Row
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType
from wide_cases import NOON, SECOND, collected, frame, types_of

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.spec.sql import Expression
from spark_scoring.spec.wide import Aggregate, Columns, Lookup, Rule, WideTable, Window
from spark_scoring.wide import transform

MAPPING: dict[str, Any] = {
    "name": "checked",
    "rows": {
        "key": ["id"],
        "time": "at",
        "time_range": ["2013-01-01", "2014-01-01"],
        "columns": {
            "id": "bigint not null",
            "Origin": "string not null",
            "tail": "string",
            "at": "timestamp not null",
        },
    },
    "tables": {
        "planes": {"columns": {"tail": "string", "seats": "int"}},
        "weather": {"time": "seen", "columns": {"origin": "string", "seen": "timestamp", "temp": "double"}},
    },
    "steps": [
        {"lookup": "planes", "on": ["tail"], "take": ["seats"], "required": True},
        {"as_of": "weather", "on": {"Origin": "origin"}, "take": ["temp"]},
        {"columns": {"double_seats": "seats * 2", "four_seats": "double_seats * 2", "late": "seats + 1"}},
    ],
    "rules": {"small": "seats < 200", "warm": "temp > 10"},
}
WIDE = WideTable.unpack(MAPPING)
ROWS = types_of(WIDE.rows.columns)
GOOD: Row = {"id": 1, "Origin": "JFK", "tail": "N1", "at": NOON}
READER = {"__parse": "string", "__bad": "array<string>"}


def tables(spark: SparkSession) -> dict[str, DataFrame]:
    planes = [{"tail": "N1", "seats": 100}, {"tail": "N2", "seats": 300}, {"tail": "N2", "seats": 300}]
    planes.append({"tail": "N3", "seats": 300})
    weather = [{"origin": "JFK", "seen": NOON - 1, "temp": 20.0}]
    given = {"planes": planes, "weather": weather}
    return {name: frame(spark, rows, types_of(WIDE.table(name).columns)) for name, rows in given.items()}


def reasons(spark: SparkSession, *rows: Row) -> list[Any]:
    given = frame(spark, [{"__parse": None, "__bad": None, **GOOD, **row} for row in rows], {**READER, **ROWS})
    result = transform(WIDE, given, tables(spark)).select("rejected.code", "rejected.detail")
    return [tuple(row) for row in result.collect()]


def test_one_reason_a_row_the_first_of_the_documented_order(spark: SparkSession) -> None:
    late = {"at": NOON + 400 * 86_400 * SECOND}

    found = reasons(
        spark,
        {},
        {"__parse": "not JSON", "id": None, "tail": "N2"},
        {"id": None, "Origin": None, "tail": "N2"},
        {"Origin": None, "at": None},
        {"at": None},
        late,
        {"tail": None, "__bad": ["tail"]},
        {"tail": "N2", "Origin": "LGA"},
        {"tail": None},
        {"tail": "N3", "Origin": "LGA"},
        {"Origin": "LGA"},
    )

    assert found == [
        (None, None),
        ("PARSE", "not JSON"),
        ("SCHEMA", "id: null, declared not null"),
        ("SCHEMA", "Origin: null, declared not null"),
        ("SCHEMA", "at: null, declared not null"),
        ("SCHEMA", "at: outside time_range"),
        ("SCHEMA", "tail: a value of another type"),
        ("LOOKUP_AMBIGUOUS:planes", "tail: more than one row of planes has this key"),
        ("LOOKUP_MISS:planes", "tail: no row of planes has this key"),
        ("RULE:small", "seats"),
        ("RULE:warm", "temp"),
    ]


def test_an_unknown_field_that_the_topic_refuses_rejects_the_row(spark: SparkSession) -> None:
    given = [{"__bad": ["*"]}, {"__bad": ["tail", "*"], "tail": None}]
    found = reasons(spark, *given)
    assert found == [("SCHEMA", "a field that is not declared"), ("SCHEMA", "tail: a value of another type")]


def test_the_time_range_is_half_open_to_the_microsecond(spark: SparkSession) -> None:
    start, end = (round(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * SECOND for year in (2013, 2014))
    times = [start - 1, start, end - 1, end, -(2**63), 2**63 - 1]
    rows = [{**GOOD, "id": i, "at": time} for i, time in enumerate(times)]

    found = collected(transform(WIDE, frame(spark, rows, ROWS), tables(spark)))

    codes = [row["rejected"] for row in sorted(found, key=lambda row: row["id"])]
    assert codes == ["SCHEMA", "RULE:warm", None, "SCHEMA", "SCHEMA", "SCHEMA"]


def test_extreme_table_times_do_not_overflow(spark: SparkSession) -> None:
    mapping = {
        **MAPPING,
        "steps": [
            {
                "as_of": "weather",
                "on": {"Origin": "origin"},
                "take": {"a": "temp"},
                "max_age": "2h",
                "strict": True,
            },
            {"window": "weather", "on": {"Origin": "origin"}, "last": "2h", "take": {"n": "count(*)"}},
            {"as_of": "weather", "on": {"Origin": "origin"}, "take": {"b": "temp"}},
        ],
        "rules": {},
    }
    times = [-(2**63), 2**63 - 1, NOON - 1, -(2**62)]
    weather = [{"origin": "JFK", "seen": time, "temp": 1.0} for time in times]
    wide = WideTable.unpack(mapping)
    given = {"weather": frame(spark, weather, types_of(wide.table("weather").columns))}

    found = collected(transform(wide, frame(spark, [GOOD], ROWS), given))

    assert [(row["a"], row["n"], row["b"]) for row in found] == [(1.0, 1, 1.0)]


def test_columns_keep_their_order_and_extra_ones_pass_through(spark: SparkSession) -> None:
    given = frame(spark, [GOOD], ROWS).selectExpr(
        "1 as extra", "AT", "tail as TAIL", "origin", "id", "2 as `a.b`", "null as __offset"
    )

    found = transform(WIDE, given, tables(spark))

    added = ["seats", "temp", "double_seats", "four_seats", "late", "rejected"]
    assert found.columns == ["extra", "at", "tail", "Origin", "id", "a.b", "__offset", *added]
    assert found.schema["rejected"].dataType.simpleString() == "struct<code:string,detail:string>"
    assert found.count() == 1


def test_a_claim_of_not_null_does_not_switch_the_check_off(spark: SparkSession, tmp_path: Path) -> None:
    frame(spark, [GOOD, {**GOOD, "Origin": None}], ROWS).write.parquet(f"{tmp_path}/rows")
    claims = StructType.fromDDL("id bigint not null, Origin string not null, tail string, at timestamp not null")

    found = transform(WIDE, spark.read.schema(claims).parquet(f"{tmp_path}/rows"), tables(spark))

    assert sorted(str(row["rejected"]) for row in collected(found)) == ["None", "SCHEMA"]


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
