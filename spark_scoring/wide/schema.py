"""Contracts of frames, checked before any data is read, and `SCHEMA`, checked row by row."""

from collections.abc import Iterable, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_scoring.errors import (
    column_missing,
    column_of_other_type,
    column_twice,
    name_not_free,
    table_not_given,
)
from spark_scoring.spec.wide import Column as Declared
from spark_scoring.spec.wide import Rows, Table, WideTable
from spark_scoring.wide.frames import HELPER, REJECTED, column, instant, reason

PARSE = "__parse"
BAD = "__bad"
UNKNOWN_FIELD = "*"  # in `__bad`: the record has a field that is not declared, and its topic refuses that


def checked_rows(frame: DataFrame, *, wide: WideTable) -> DataFrame:
    """The rows with declared columns in their declared spelling, extra ones as they are, then `rejected`.

    A column that a reader claims to be `not null` and that holds nulls cannot be repaired here: Spark's own
    scan reads such a null as 0 or fails. Readers of files give every column as nullable, whatever is claimed.

    Raises: ConfigError, RunError.
    """
    _check(frame, columns=wide.rows.columns, where="rows")
    taken = {name.lower() for name in (*wide.columns_added(), REJECTED)}
    for name in frame.columns:
        if name.lower() in taken or name.lower().startswith(HELPER):
            raise name_not_free(name)
        if sum(name.lower() == other.lower() for other in frame.columns) > 1:
            raise column_twice("rows", name=name)
    spelled = {declared.name.lower(): declared.name for declared in wide.rows.columns}
    kept = [column(name).alias(spelled.get(name.lower(), name)) for name in frame.columns]
    return frame.select(*kept, rejection(frame.columns, rows=wide.rows).alias(REJECTED))


def checked_tables(tables: Mapping[str, DataFrame], *, contracts: Iterable[Table]) -> dict[str, DataFrame]:
    """The declared columns of each table, in their declared order and spelling.

    Raises: RunError.
    """
    given = {name.lower(): frame for name, frame in tables.items()}
    checked = {}
    for contract in contracts:
        if contract.name.lower() not in given:
            raise table_not_given(contract.name, given=tables)
        frame, where = given[contract.name.lower()], f"table '{contract.name}'"
        _check(frame, columns=contract.columns, where=where)
        checked[contract.name] = frame.select(*[F.col(f"`{found.name}`") for found in contract.columns])
    return checked


def _check(frame: DataFrame, *, columns: Iterable[Declared], where: str) -> None:
    for declared in columns:
        found = [field for field in frame.schema.fields if field.name.lower() == declared.name.lower()]
        if not found:
            raise column_missing(where, name=declared.name, there=frame.columns)
        if len(found) > 1:
            raise column_twice(where, name=declared.name)
        given = found[0].dataType.simpleString()
        if given.lower() != declared.type.lower():
            raise column_of_other_type(where, name=declared.name, given=given, declared=declared.type)


def rejection(names: Sequence[str], *, rows: Rows) -> Column:
    """`PARSE`, else the first declared column that breaks the contract, else null."""
    reasons = [_schema_broken(declared, names=names, rows=rows) for declared in rows.columns]
    if PARSE in names:
        parse = F.struct(F.lit("PARSE").alias("code"), column(PARSE).alias("detail"))
        reasons.insert(0, F.when(column(PARSE).isNotNull(), parse))
    if BAD in names:
        unknown = F.array_contains(column(BAD), UNKNOWN_FIELD)
        reasons.append(F.when(unknown, _schema("a field that is not declared")))
    return F.coalesce(*reasons, F.lit(None).cast("struct<code: string, detail: string>"))


def _schema_broken(declared: Declared, *, names: Sequence[str], rows: Rows) -> Column:
    name, value = declared.name, column(declared.name)
    found = F.when(F.lit(False), _schema(""))
    if BAD in names:
        found = found.when(F.array_contains(column(BAD), name), _schema(f"{name}: a value of another JSON type"))
    if not declared.nullable:
        found = found.when(value.isNull(), _schema(f"{name}: null, declared not null"))
    if name == rows.time:
        found = found.when(instant(rows).isNull(), _schema(f"{name}: outside time_range"))
    return found


def _schema(detail: str) -> Column:
    return reason("SCHEMA", detail=detail)
