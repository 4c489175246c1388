"""What `from_json` reads without a word is told apart here."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import types as T

from spark_scoring.io.json import reader
from spark_scoring.spec.job import Topic

SCHEMA = T.StructType(
    [
        T.StructField("s", T.StringType()),
        T.StructField("i", T.IntegerType()),
        T.StructField("l", T.LongType()),
        T.StructField("d", T.DoubleType()),
        T.StructField("f", T.FloatType()),
        T.StructField("b", T.BooleanType()),
        T.StructField("n", T.DecimalType(5, 2)),
        T.StructField("t", T.TimestampType()),
        T.StructField("day", T.DateType()),
        T.StructField("list", T.ArrayType(T.IntegerType())),
        T.StructField("map", T.MapType(T.StringType(), T.DoubleType())),
        T.StructField("sub", T.StructType([T.StructField("x", T.LongType())])),
        T.StructField("bin", T.BinaryType()),
    ]
)
read = reader(SCHEMA, Topic(topic="t"))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "null value"),
        (b"", "not exactly one JSON object"),
        (b"null", "not exactly one JSON object"),
        (b"[]", "not exactly one JSON object"),
        (b"12", "not exactly one JSON object"),
        (b'{"s": "a"', "not exactly one JSON object"),
        (b'{"s": "a"} {"s": "b"}', "not exactly one JSON object"),
        (b'{"s": "a"} x', "not exactly one JSON object"),
        (b"{'s': 'a'}", "not exactly one JSON object"),
        (b'{"d": NaN}', "not exactly one JSON object"),
        (b'{"d": -Infinity}', "not exactly one JSON object"),
        (b'\xef\xbb\xbf{"s": "a"}', "not exactly one JSON object"),
        (b'{"s": "\xff"}', "not UTF-8"),
        (b'{"s": "\\ud800"}', "not UTF-8"),
        (b'{"s": "a", "s": "b"}', "repeated key"),
        (b'{"unknown": {"a": 1, "a": 2}}', "repeated key"),
        (b'{"d": 1e400}', "number out of range: d"),
        (b'{"f": 1e39}', "number out of range: f"),
        (b'{"i": 2147483648}', "number out of range: i"),
        (b'{"l": 9223372036854775808}', "number out of range: l"),
        (b'{"n": 1000}', "number out of range: n"),
        (b'{"n": 0.001}', "number out of range: n"),
        (b'{"l": ' + b"9" * 5000 + b"}", "number out of range"),
        (b"[" * 100_000, "not exactly one JSON object"),
    ],
)
def test_a_record_that_is_no_object_of_ours(record: bytes | None, reason: str) -> None:
    assert read(record) == {"__parse": reason, "__bad": None}


@pytest.mark.parametrize(
    ("record", "column"),
    [
        (b'{"s": 12}', "s"),
        (b'{"s": {"x": 1}}', "s"),
        (b'{"s": true}', "s"),
        (b'{"i": "7"}', "i"),
        (b'{"i": 7.0}', "i"),
        (b'{"i": true}', "i"),
        (b'{"d": "1.5"}', "d"),
        (b'{"d": false}', "d"),
        (b'{"b": 1}', "b"),
        (b'{"n": "1.5"}', "n"),
        (b'{"t": 1}', "t"),
        (b'{"t": "yesterday"}', "t"),
        (b'{"t": "2013-02-30T00:00:00"}', "t"),
        (b'{"day": "2013-13-01"}', "day"),
        (b'{"list": 1}', "list"),
        (b'{"list": ["1"]}', "list"),
        (b'{"map": []}', "map"),
        (b'{"sub": {"x": "1"}}', "sub"),
        (b'{"bin": "%%"}', "bin"),
    ],
)
def test_a_value_of_another_type(record: bytes, column: str) -> None:
    found = read(record)
    assert (found["__parse"], found["__bad"], column in found) == (None, [column], False)


def test_good_values() -> None:
    record = (
        '{"s": "é", "i": -1, "l": 9007199254740993, "d": 12, "f": 0.5, "b": true, "n": 12.3, "t": '
        '"2013-01-01T12:00:00.000001+02:00", "day": "2013-01-01", "list": [1, null], "map": {"k": 1.0}, "sub": {}, '
        '"bin": "AAE="}'
    )
    assert read(record.encode()) == {
        "s": "é", "i": -1, "l": 9007199254740993, "d": 12.0, "f": 0.5, "b": True, "n": Decimal("12.30"),
        "t": datetime(2013, 1, 1, 10, 0, 0, 1, tzinfo=UTC), "day": date(2013, 1, 1), "list": [1, None],
        "map": [("k", 1.0)], "sub": {"x": None}, "bin": b"\x00\x01", "__parse": None, "__bad": None,
    }  # fmt: skip


def test_names_match_case_exactly_and_missing_is_null() -> None:
    assert read(b'{"S": "a", "s": null}') == {"__parse": None, "__bad": None}


def test_a_time_without_a_zone_is_utc() -> None:
    assert read(b'{"t": "2013-01-01T12:00:00"}')["t"] == datetime(2013, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("unit", "number"), [("s", "1.5"), ("ms", "1500"), ("us", "1500000")])
def test_times_as_numbers(unit: str, number: str) -> None:
    found = reader(SCHEMA, Topic(topic="t", time_unit=unit))(f'{{"t": {number}}}'.encode())
    assert found["t"] == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)


@pytest.mark.parametrize("number", ["1e400", "1e999999999", "99999999999999999999", "-1e17"])
def test_a_time_beyond_the_calendar_is_out_of_range(number: str) -> None:
    found = reader(SCHEMA, Topic(topic="t", time_unit="s"))(f'{{"t": {number}}}'.encode())
    assert found["__parse"] == "number out of range: t"


def test_unknown_fields_are_refused_where_the_topic_says_so() -> None:
    strict = reader(SCHEMA, Topic(topic="t", unknown="reject"))
    assert (strict(b'{"s": "a", "z": 1}')["__bad"], read(b'{"s": "a", "z": 1}')["__bad"]) == (["*"], None)


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,0123456789eE.-+\\u slidbt', max_size=40).map(str.encode))
def test_no_bytes_raise(record: bytes) -> None:
    assert "__parse" in read(record)
