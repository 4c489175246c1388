"""What `from_json` reads without a word is told apart here."""

import random
import struct
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyspark.sql.functions as F
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from spark_scoring.io.json import parsed
from spark_scoring.spec.job import Topic
from tests.json_oracle import reader

KEYS = {
    "mi": T.IntegerType(), "mn": T.DecimalType(5, 2), "md": T.DoubleType(), "mb": T.BooleanType(),
    "mt": T.TimestampType(), "mday": T.DateType(), "ma": T.ArrayType(T.IntegerType()),
}  # fmt: skip
KINDS = {
    "s": T.StringType(), "i": T.IntegerType(), "l": T.LongType(), "d": T.DoubleType(), "f": T.FloatType(),
    "b": T.BooleanType(), "n": T.DecimalType(5, 2), "t": T.TimestampType(), "day": T.DateType(),
    "list": T.ArrayType(T.IntegerType()), "map": T.MapType(T.StringType(), T.DoubleType()),
    "sub": T.StructType([T.StructField("x", T.LongType())]), "bin": T.BinaryType(),
    **{name: T.MapType(key, T.IntegerType()) for name, key in KEYS.items()},
}  # fmt: skip
SCHEMA = T.StructType([T.StructField(name, kind) for name, kind in KINDS.items()])
TOPIC = Topic(topic="t")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(spark: SparkSession, records: Sequence[bytes | None], topic: Topic = TOPIC) -> list[dict[str, Any]]:
    """What the JVM makes of each record."""
    frame = spark.createDataFrame([(i, record) for i, record in enumerate(records)], "i int, record binary")
    found = frame.select("i", parsed(spark, F.col("record"), SCHEMA, topic).alias("row")).orderBy("i").collect()
    return [_plain(row["row"].asDict(recursive=True)) for row in found]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """As the oracle says it: nothing where there is nothing."""
    if row["t"] is not None:
        row["t"] = row["t"].astimezone(UTC)
    if row["mt"] is not None:
        row["mt"] = {key.astimezone(UTC): value for key, value in row["mt"].items()}
    return {name: value for name, value in row.items() if value is not None or name.startswith("__")}


def oracle(records: Sequence[bytes | None], topic: Topic = TOPIC) -> list[dict[str, Any]]:
    return [*map(reader(SCHEMA, topic), records)]


NO_OBJECT = (
    (None, "null value"),
    (b"", "not exactly one JSON object"),
    (b"null", "not exactly one JSON object"),
    (b"[]", "not exactly one JSON object"),
    (b"12", "not exactly one JSON object"),
    (b'{"s": "a"', "not exactly one JSON object"),
    (b'{"s": "a",}', "not exactly one JSON object"),
    (b'{"s": "a"} {"s": "b"}', "not exactly one JSON object"),
    (b'{"s": "a"} x', "not exactly one JSON object"),
    (b"{'s': 'a'}", "not exactly one JSON object"),
    (b'{"s": "a\nb"}', "not exactly one JSON object"),
    (b'{"s": "\\x"}', "not exactly one JSON object"),
    (b'{"d": NaN}', "not exactly one JSON object"),
    (b'{"d": -Infinity}', "not exactly one JSON object"),
    (b'{"d": 01}', "not exactly one JSON object"),
    (b'{"d": 1.}', "not exactly one JSON object"),
    (b'{"d": +1}', "not exactly one JSON object"),
    (b'\xef\xbb\xbf{"s": "a"}', "not exactly one JSON object"),
    (b'{"s": "\xff"}', "not UTF-8"),
    (b'{"s": "\xed\xa0\x80"}', "not UTF-8"),
    (b'{"s": "\\ud800"}', "not UTF-8"),
    (b'{"map": {"\\udc00": 1}}', "not UTF-8"),
    (b'{"s": "a", "s": "b"}', "repeated key"),
    (b'{"unknown": {"a": 1, "a": 2}}', "repeated key"),
    (b'{"s": "a", "\\u0073": "b"}', "repeated key"),
    (b'{"d": 1e400}', "number out of range: d"),
    (b'{"f": 1e39}', "number out of range: f"),
    (b'{"i": 2147483648}', "number out of range: i"),
    (b'{"l": 9223372036854775808}', "number out of range: l"),
    (b'{"n": 1000}', "number out of range: n"),
    (b'{"n": 0.001}', "number out of range: n"),
    (b'{"n": 1e999999999}', "number out of range: n"),
    (b'{"n": 1e99999999999}', "number out of range: n"),
    (b'{"n": 1e-99999999999}', "number out of range: n"),
    (b'{"l": ' + b"9" * 5000 + b"}", "number out of range"),
    (b'{"mi": {"2147483648": 1}}', "number out of range: mi"),
    (b'{"md": {"-0": 1, "0.0": 1}}', "repeated key"),
    (b'{"mday": {"2013-01-01": 1, "20130101": 1}}', "repeated key"),
    (b"[" * 100_000, "not exactly one JSON object"),
    (b'{"z": ' + b"[" * 400 + b"]" * 400 + b"} x", "not exactly one JSON object"),
)
WRONG_TYPE = (
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
    (b'{"t": "2013-02-03T24:00:00"}', "t"),
    (b'{"t": "2013-02-03T12.5"}', "t"),
    (b'{"t": "0001-01-01T00:00:00+01:00"}', "t"),
    (b'{"t": "2013-02-03T12:00:00 UTC"}', "t"),
    (b'{"t": "2013-02-03-06:00"}', "t"),
    (b'{"day": "2013-13-01"}', "day"),
    (b'{"day": "2013-01-01T00:00:00"}', "day"),
    (b'{"list": 1}', "list"),
    (b'{"list": ["1"]}', "list"),
    (b'{"map": []}', "map"),
    (b'{"mi": {"1": 1, "01": 1}}', "mi"),
    (b'{"mi": {"1.0": 1}}', "mi"),
    (b'{"mi": {"": 1}}', "mi"),
    (b'{"mb": {"True": 1}}', "mb"),
    (b'{"mt": {"1": 1}}', "mt"),
    (b'{"ma": {"[1]": 1}}', "ma"),
    (b'{"sub": {"x": "1"}}', "sub"),
    (b'{"bin": "%%"}', "bin"),
    (b'{"bin": "AAE"}', "bin"),
)


def test_a_record_that_is_no_object_of_ours(spark: SparkSession) -> None:
    found = read(spark, [record for record, _ in NO_OBJECT])
    assert found == [{"__parse": reason, "__bad": None} for _, reason in NO_OBJECT]


def test_a_value_of_another_type(spark: SparkSession) -> None:
    found = read(spark, [record for record, _ in WRONG_TYPE])
    assert found == [{"__parse": None, "__bad": [column]} for _, column in WRONG_TYPE]


def test_good_values(spark: SparkSession) -> None:
    record = (
        '{"s": "é\\ud83d\\ude00", "i": -1, "l": 9007199254740993, "d": 12, "f": 0.5, "b": true, "n": 12.3, "t": '
        '"2013-01-01T12:00:00.0000019+02:00", "day": "2013-01-01", "list": [1, null], "map": {"k": 1.0, "a": null}, '
        '"sub": {}, "bin": "AAE="}'
    )
    assert read(spark, [record.encode()]) == [{
        "s": "é😀", "i": -1, "l": 9007199254740993, "d": 12.0, "f": 0.5, "b": True, "n": Decimal("12.30"),
        "t": datetime(2013, 1, 1, 10, 0, 0, 1, tzinfo=UTC), "day": date(2013, 1, 1), "list": [1, None],
        "map": {"k": 1.0, "a": None}, "sub": {"x": None}, "bin": bytearray(b"\x00\x01"), "__parse": None, "__bad": None,
    }]  # fmt: skip


def test_keys_of_a_map_have_their_type(spark: SparkSession) -> None:
    record = b'{"mi": {"-7": 1, "8": null}, "mn": {"1.5": 2}, "mb": {"false": 3}, "mday": {"2013-01-01": 4}, "ma": {}}'
    assert read(spark, [record]) == [{
        "mi": {-7: 1, 8: None}, "mn": {Decimal("1.50"): 2}, "mb": {False: 3}, "mday": {date(2013, 1, 1): 4}, "ma": {},
        "__parse": None, "__bad": None,
    }]  # fmt: skip


def test_names_match_case_exactly_and_missing_is_null(spark: SparkSession) -> None:
    assert read(spark, [b'{"S": "a", "s": null}']) == [{"__parse": None, "__bad": None}]


def test_a_time_without_a_zone_is_utc(spark: SparkSession) -> None:
    (found,) = read(spark, [b'{"t": "2013-01-01T12:00:00"}'])
    assert found["t"] == datetime(2013, 1, 1, 12, tzinfo=UTC)


def test_minus_zero_is_a_real_number_only(spark: SparkSession) -> None:
    found = read(spark, [b'{"d": -0}', b'{"d": -0.0}'])
    assert [str(row["d"]) for row in found] == ["0.0", "-0.0"]


@pytest.mark.parametrize(("unit", "number"), [("s", "1.5"), ("ms", "1500"), ("us", "1500000")])
def test_times_as_numbers(spark: SparkSession, unit: str, number: str) -> None:
    topic = Topic(topic="t", time_unit=unit)
    (found, tiny) = read(spark, [f'{{"t": {number}}}'.encode(), b'{"t": 1e-999999999}'], topic)
    assert found["t"] == datetime(1970, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    assert tiny["t"] == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_time_beyond_the_calendar_is_out_of_range(spark: SparkSession) -> None:
    numbers = ("1e400", "1e999999999", "99999999999999999999", "-1e17", "253402300800")
    found = read(spark, [f'{{"t": {number}}}'.encode() for number in numbers], Topic(topic="t", time_unit="s"))
    assert [row["__parse"] for row in found] == ["number out of range: t"] * len(numbers)


LONG = 1_000_000
LONG_NUMBERS = (
    ("-1." + "0" * LONG, Decimal("-1.00")),
    ("0." + "0" * LONG + f"15e{LONG}", Decimal("0.15")),
    ("12" + "0" * LONG + f".0e-{LONG}", Decimal("12.00")),
    ("0." + "0" * LONG, Decimal("0.00")),
    ("1." + "0" * LONG + "1", None),
    ("9" * LONG + f".9e-{LONG}", None),
    ("1." + "0" * LONG + "e-2147483647", None),
)


def test_a_number_of_a_million_digits_takes_no_longer_than_others(spark: SparkSession) -> None:
    read(spark, [b"{}"])
    begun = time.monotonic()
    found = read(spark, [f'{{"n": {text}}}'.encode() for text, _ in LONG_NUMBERS])
    assert time.monotonic() - begun < 20
    assert [row.get("n") for row in found] == [number for _, number in LONG_NUMBERS]
    assert [row["__parse"] for row in found] == [None] * 4 + ["number out of range: n"] * 3


def test_a_time_of_a_million_digits_is_rounded_as_it_is_written(spark: SparkSession) -> None:
    texts = (
        "1.5" + "0" * LONG,
        "1.5" + "0" * LONG + "1",
        "-2.5" + "0" * LONG + "1",
        "25" + "0" * LONG + f".0e-{LONG + 1}",
    )
    found = read(spark, [f'{{"t": {text}}}'.encode() for text in texts], Topic(topic="t", time_unit="us"))
    assert [row["t"] - EPOCH for row in found] == [timedelta(microseconds=n) for n in (2, 2, -3, 2)]


def test_unknown_fields_are_refused_where_the_topic_says_so(spark: SparkSession) -> None:
    records = [b'{"s": "a", "z": 1}', b'{"sub": {"z": 1}}', b'{"list": [1]}', b'{"map": {"z": 1}}']
    strict, lax = read(spark, records, Topic(topic="t", unknown="reject")), read(spark, records)
    assert [row["__bad"] for row in lax] == [None] * 4
    assert [row["__bad"] for row in strict] == [["*"], ["sub"], None, None]


def test_any_bytes_are_read_as_plain_python_reads_them(spark: SparkSession) -> None:
    made = random.Random(7)
    records = [_record(made) for _ in range(4000)]
    for topic in (TOPIC, Topic(topic="t", time_unit="ms", unknown="reject")):
        differ = [
            (record, ours, theirs)
            for record, ours, theirs in zip(records, read(spark, records, topic), oracle(records, topic), strict=True)
            if repr(_sorted(ours)) != repr(_sorted(theirs))
        ]
        assert differ == []


def _sorted(row: dict[str, Any]) -> list[tuple[str, Any]]:
    plain = {**row, **({"bin": bytes(row["bin"])} if "bin" in row else {})}
    plain |= {name: sorted(row[name].items()) for name in ("map", *KEYS) if name in row}
    plain |= {"n": row["n"] + 0} if "n" in row else {}
    plain |= {"f": struct.unpack("<f", struct.pack("<f", row["f"]))[0]} if "f" in row else {}
    return sorted(plain.items(), key=lambda item: item[0])


NUMBERS = (
    "0", "-0", "7", "-128", "32768", "2147483647", "-2147483649", "9007199254740993", "1e3", "1.5", "-0.0", "0.10",
    "1.7976931348623157e308", "5e-324", "3.4028235e38", "3.4028236e38", "999.99", "99.995", "1e-7", "123456789012",
)  # fmt: skip
TIMES = (
    "2013-01-01", "20130101", "2013-W01-1", "2013W011", "2013W01", "2013-W53", "2013-01-01T", "2013-01-01 12:30",
    "2013-01-01T1230", "2013-01-01T12:30:15,25", "2013-01-01T12:30:15.1234567Z", "20130101T123015+0530",
    "2013-01-01T12:30:15-23:59", "9999-12-31T23:59:59.999999", "0002-01-01T00:00:00", "2013-01-01T12:3", "2013-1-1",
    "2013-01-01T12:30:60", "2013-01-01T12:30:15+24:00", "2013-02-29", "2012-02-29T00:00Z", "1582-10-10T00:00:00",
    "2013-01-01-12:30", "2013-01-01_12:30", "2013-01-01t12:30z", "2013-01-01 12:30Z",
    "2013-W011", "2013-01-01T12:30:15+01:00:00.5", "2013-01-01T12:30:15.", "2013-01-01T12:30:15Zx", "20130101T12",
)  # fmt: skip
MAP_KEYS = {
    "mi": ("0", "-0", "7", "-128", "32768"), "mn": ("0.10", "0.1", "7", "-0.0"), "md": NUMBERS[8:14],
    "mb": ("true", "false"), "mt": TIMES[7:14], "mday": TIMES[:4],
}  # fmt: skip
TEXTS = ("", "a", "é", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "\\/\\b\\f", "AAE=", "AA==", "AA=", "/+8=", "a b")


def _record(made: random.Random) -> bytes:
    """Mostly an object of declared columns with fitting and unfitting values; some of it damaged."""
    if made.random() < 0.1:
        return "".join(made.choices('{}[]":,0123456789eE.-+\\u slidbt', k=made.randrange(30))).encode()
    names = made.sample([*SCHEMA.fieldNames(), "z"], made.randrange(4))
    text = "{" + ", ".join(f'"{name}": {_value(made, name)}' for name in names) + "}"
    record = bytearray(text.encode())
    if made.random() < 0.15:
        record[made.randrange(len(record))] = made.choice([*b'"{}[],:\\x\x00\xff 09.'])
    return bytes(record)


def _value(made: random.Random, name: str, depth: int = 0) -> str:
    fitting = {"s": TEXTS, "bin": TEXTS, "t": TIMES, "day": TIMES}.get(name)
    kind = made.randrange(9)
    if fitting and kind < 6:
        return f'"{made.choice(fitting)}"'
    nested = name in ("list", "map", "sub", *KEYS)
    if kind < 5 and not nested:
        return made.choice(NUMBERS)
    if depth < 2 and (kind < 8 or nested):
        inner = [made.choice(("7", _value(made, made.choice("ids"), depth + 1))) for _ in range(made.randrange(4))]
        return f"[{','.join(inner)}]" if name == "list" or kind == 6 else _object(made, inner, name)
    return made.choice(["null", "true", "false", *NUMBERS, *(f'"{text}"' for text in (*TEXTS, *TIMES))])


def _object(made: random.Random, inner: Sequence[str], name: str) -> str:
    keys = MAP_KEYS.get(name, "xyk")
    return (
        "{" + ",".join(f'"{made.choice(made.choice((keys, keys, keys, NUMBERS)))}": {value}' for value in inner) + "}"
    )
