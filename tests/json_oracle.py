"""Strict JSON in plain Python: what the JVM's function must give for every record."""

import base64
import json
import re
import struct
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from pyspark.sql import types as T

from spark_scoring.spec.job import Topic

Convert = Callable[[Any], Any]
UNKNOWN_FIELD = "*"
NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _WrongType(Exception):
    """The value has another JSON type than its column."""


class _Unreadable(Exception):
    """The record is no JSON object of ours; the text says why, without any value."""


class _Real(str):
    """A JSON number with a point or an exponent, still as written."""


def reader(schema: T.StructType, topic: Topic) -> Callable[[bytes | None], dict[str, Any]]:
    """A function from one record's bytes to its columns, `__parse` and `__bad`."""
    converts = {field.name: _converter(field.dataType, topic) for field in schema}

    def read(record: bytes | None) -> dict[str, Any]:
        try:
            given = _object(record)
            row, bad = _columns(given, converts)
        except _Unreadable as reason:
            return {"__parse": str(reason), "__bad": None}
        if topic.unknown == "reject" and not given.keys() <= converts.keys():
            bad.append(UNKNOWN_FIELD)
        return {**row, "__parse": None, "__bad": bad or None}

    return read


def _object(record: bytes | None) -> dict[str, Any]:
    if record is None:
        raise _Unreadable("null value")
    try:
        given = json.loads(
            record.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_float=_Real,
            parse_int=_integer,
            parse_constant=_constant,
        )
    except UnicodeDecodeError:
        raise _Unreadable("not UTF-8") from None
    except (json.JSONDecodeError, RecursionError):
        raise _Unreadable("not exactly one JSON object") from None
    if not isinstance(given, dict):
        raise _Unreadable("not exactly one JSON object")
    return given


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    given = dict(pairs)
    if len(given) < len(pairs):
        raise _Unreadable("repeated key")
    return given


def _integer(text: str) -> int:
    # Python refuses texts of more than 4,300 digits; no column holds even 40
    if len(text) > 400:
        raise _Unreadable("number out of range")
    return int(text)


def _constant(_: str) -> Any:
    raise _Unreadable("not exactly one JSON object")


def _columns(given: dict[str, Any], converts: dict[str, Convert]) -> tuple[dict[str, Any], list[str]]:
    row: dict[str, Any] = {}
    bad: list[str] = []
    for name, convert in converts.items():
        value = given.get(name)
        if value is None:
            continue
        try:
            row[name] = convert(value)
        except _WrongType:
            bad.append(name)
        except OverflowError:
            raise _Unreadable(f"number out of range: {name}") from None
        except UnicodeEncodeError:
            raise _Unreadable("not UTF-8") from None
    return row, bad


def _converter(kind: T.DataType, topic: Topic) -> Convert:
    if isinstance(kind, T.ArrayType):
        return _array(_nullable(_converter(kind.elementType, topic)))
    if isinstance(kind, T.MapType):
        key = _key(kind.keyType, _converter(kind.keyType, topic))
        return _map(key, _nullable(_converter(kind.valueType, topic)))
    if isinstance(kind, T.StructType):
        converts = {f.name: _nullable(_converter(f.dataType, topic)) for f in kind}
        return _struct(converts, strict=topic.unknown == "reject")
    if isinstance(kind, T.DecimalType):
        return _decimal(kind.precision, kind.scale)
    if isinstance(kind, T.TimestampType):
        return _timestamp(topic.time_unit)
    return _SIMPLE[type(kind)]


def _nullable(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _string(value: Any) -> str:
    if type(value) is not str:
        raise _WrongType
    if not value.isascii():
        value.encode("utf-8")  # a lone surrogate, written as an escape, is no text
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _WrongType
    return value


def _whole(bits: int) -> Convert:
    limit = 2 ** (bits - 1)

    def convert(value: Any) -> int:
        if type(value) is not int:
            raise _WrongType
        if not -limit <= value < limit:
            raise OverflowError
        return value

    return convert


def _double(value: Any) -> float:
    if type(value) is not int and type(value) is not _Real:
        raise _WrongType
    number = float(value)
    if number in (float("inf"), float("-inf")):
        raise OverflowError
    return number


def _float(value: Any) -> float:
    number = _double(value)
    struct.pack("<f", number)
    return number


def _decimal(precision: int, scale: int) -> Convert:
    def convert(value: Any) -> Decimal:
        if type(value) is not int and type(value) is not _Real:
            raise _WrongType
        try:
            number = Decimal(value)
            exact = number.quantize(Decimal(1).scaleb(-scale))
        except InvalidOperation:
            raise OverflowError from None
        if exact != number or len(exact.as_tuple().digits) > precision:
            raise OverflowError
        return exact

    return convert


def _timestamp(time_unit: str | None) -> Convert:
    micros = {"s": 1_000_000, "ms": 1_000, "us": 1}.get(time_unit or "")

    def convert(value: Any) -> datetime:
        if micros is not None and type(value) in (int, _Real):
            if abs(float(value)) > 1e18:  # also keeps Decimal from building a number of a million digits
                raise OverflowError
            return EPOCH + timedelta(microseconds=round(Decimal(value) * micros))
        if type(value) is not str:
            raise _WrongType
        try:
            day, *time = re.split("[Tt ]", value, maxsplit=1)
            moment = datetime.fromisoformat("T".join([date.fromisoformat(day).isoformat(), *time]).replace("z", "Z"))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise _WrongType from None

    return convert


def _date(value: Any) -> date:
    if type(value) is not str:
        raise _WrongType
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise _WrongType from None


def _binary(value: Any) -> bytes:
    try:
        return base64.b64decode(_string(value), validate=True)
    except ValueError:
        raise _WrongType from None


def _array(convert: Convert) -> Convert:
    def each(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _WrongType
        return [convert(element) for element in value]

    return each


def _map(key: Convert, convert: Convert) -> Convert:
    def each(value: Any) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for name, element in _items(value):
            one = key(name)
            if one in found:
                raise _Unreadable("repeated key")
            found[one] = convert(element)
        return found

    return each


def _key(kind: T.DataType, convert: Convert) -> Convert:
    if not isinstance(kind, T.NumericType | T.BooleanType):
        return convert
    return lambda name: _without_sign_of_zero(convert(_bare(name)))


def _without_sign_of_zero(key: Any) -> Any:
    return key if key else type(key)(abs(key))


def _bare(name: str) -> Any:
    """What the text is in JSON without its quotes."""
    if name in ("true", "false"):
        return name == "true"
    number = NUMBER.fullmatch(name)
    if number is None:
        raise _WrongType
    return _Real(name) if number[1] or number[2] else _integer(name)


def _struct(converts: dict[str, Convert], *, strict: bool) -> Convert:
    def each(value: Any) -> dict[str, Any]:
        given = dict(_items(value))
        found = {name: convert(given.get(name)) for name, convert in converts.items()}
        if strict and not given.keys() <= converts.keys():
            raise _WrongType
        return found

    return each


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    if type(value) is not dict:
        raise _WrongType
    return value.items()


_SIMPLE: dict[type[T.DataType], Convert] = {
    T.StringType: _string,
    T.BooleanType: _boolean,
    T.ByteType: _whole(8),
    T.ShortType: _whole(16),
    T.IntegerType: _whole(32),
    T.LongType: _whole(64),
    T.FloatType: _float,
    T.DoubleType: _double,
    T.DateType: _date,
    T.BinaryType: _binary,
}
