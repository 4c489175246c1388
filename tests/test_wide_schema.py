"""Contracts of frames, reasons in their order, and what passes through."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checked_world import GOOD, MAPPING, ROWS, WIDE, tables
from oracle import Row
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType
from wide_cases import NOON, SECOND, collected, frame, types_of

from spark_scoring.spec.wide import WideTable
from spark_scoring.wide import transform

READER = {"__parse": "string", "__bad": "array<string>"}


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
