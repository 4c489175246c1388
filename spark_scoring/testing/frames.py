"""Frames in memory, of the rows and tables that a wide table declares."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pyspark.errors import PySparkTypeError, PySparkValueError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from spark_scoring import errors
from spark_scoring.io.sources import schema_of
from spark_scoring.spec.wide import Rows, Table


def frame(spark: SparkSession, contract: Rows | Table, rows: Iterable[Mapping[str, Any]]) -> DataFrame:
    """The rows as a frame with the columns and types of the contract: of `wide.rows`, or of `wide.table("weather")`.

    A column that a row leaves out is null, also one that is declared `not null`. An instant is an aware datetime or a
    text with its zone, as `2013-09-09T07:00:00Z`; a date may be a text too.

    Raises: ConfigError: a column that the contract has not, or a value that is none of its type.
    """
    schema = schema_of(contract.columns)
    given = [_row(row, schema, where=f"rows[{number}]") for number, row in enumerate(rows)]
    try:
        return spark.createDataFrame(given, schema)
    except (PySparkTypeError, PySparkValueError) as error:
        raise errors.contradiction(
            "rows", given="a value", why=str(error), do="Give one of the column's type"
        ) from None


def _row(row: Mapping[str, Any], schema: T.StructType, *, where: str) -> tuple[Any, ...]:
    types = {field.name.lower(): field.dataType for field in schema}
    for name in row:
        if name.lower() not in types:
            raise errors.unknown_name(where, kind="column", given=name, known=schema.names)
    given = {name.lower(): _value(row[name], types[name.lower()], where=f"{where}.{name}") for name in row}
    return tuple(given.get(name) for name in types)


def _value(value: Any, kind: T.DataType, *, where: str) -> Any:
    """The value as Spark takes it: it makes texts of everything, and takes an instant without a zone as local time."""
    if value is None:
        return None
    if isinstance(kind, T.FractionalType) and type(value) is int:
        return Decimal(value) if isinstance(kind, T.DecimalType) else float(value)
    if isinstance(kind, T.StringType) and not isinstance(value, str):
        raise errors.bad_value(where, given=repr(value), allowed="a text")
    if isinstance(kind, T.DateType):
        return _date(value, where=where)
    if isinstance(kind, T.TimestampType | T.TimestampNTZType):
        return _instant(value, zone=isinstance(kind, T.TimestampType), where=where)
    return value


def _date(value: Any, *, where: str) -> date:
    with suppress(ValueError):
        value = date.fromisoformat(value) if isinstance(value, str) else value
    if type(value) is not date:
        raise errors.bad_value(where, given=repr(value), allowed="a date, as 2013-09-09")
    return value


def _instant(value: Any, *, zone: bool, where: str) -> datetime:
    with suppress(ValueError):
        value = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(value, datetime) or (value.tzinfo is not None) != zone:
        allowed = "an instant with its zone, as 2013-09-09T07:00:00Z" if zone else "a time without a zone"
        raise errors.bad_value(where, given=repr(value), allowed=allowed)
    return value
