"""Contracts of frames, checked before any data is read, and `SCHEMA`, checked row by row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pyspark.sql import DataFrame

from spark_scoring.errors import (
    column_missing,
    column_of_other_type,
    column_twice,
    name_not_free,
    table_not_given,
    wrong_type,
)
from spark_scoring.spec.sql_tokens import quote
from spark_scoring.spec.wide import Column as Declared
from spark_scoring.spec.wide import Rows, Table, WideTable
from spark_scoring.wide.frames import HELPER, REJECTED, column, instant, named, reason

NO_REASON = "cast(null as struct<code: string, detail: string>)"
PARSE = "__parse"
BAD = "__bad"
UNKNOWN_FIELD = "*"  # in `__bad`: the record has a field that is not declared, and its topic refuses that


def checked_rows(frame: DataFrame, *, wide: WideTable) -> DataFrame:
    """The rows with declared columns in their declared spelling, extra ones as they are.

    A column that a reader claims to be `not null` and that holds nulls cannot be repaired here: Spark's own
    scan reads such a null as 0 or fails. Readers of files give every column as nullable, whatever is claimed.

    Raises: ConfigError, RunError.
    """
    _check_frame(frame, where="rows")
    _check(frame, columns=wide.rows.columns, where="rows")
    declared = {one.name.lower() for one in wide.rows.columns}
    taken = {name.lower() for name in (*wide.columns_added(), REJECTED)} - declared
    for name in frame.columns:
        if name.lower() in taken or name.lower().startswith(HELPER):
            raise name_not_free(name)
        if sum(name.lower() == other.lower() for other in frame.columns) > 1:
            raise column_twice("rows", name=name)
    spelled = {declared.name.lower(): declared.name for declared in wide.rows.columns}
    kept = [named(column(name), spelled.get(name.lower(), name)) for name in frame.columns]
    return frame.selectExpr(*kept)


def checked_tables(tables: Mapping[str, DataFrame], *, contracts: Iterable[Table]) -> dict[str, DataFrame]:
    """The declared columns of each table, in their declared order and spelling.

    Raises: ConfigError, RunError.
    """
    if not isinstance(tables, Mapping):
        raise wrong_type("tables", given=type(tables).__name__, expected="a mapping {table: frame}")
    given = {name.lower(): frame for name, frame in tables.items()}
    checked = {}
    for contract in contracts:
        if contract.name.lower() not in given:
            raise table_not_given(contract.name, given=tables)
        frame, where = given[contract.name.lower()], f"table '{contract.name}'"
        _check_frame(frame, where=where)
        if frame.isStreaming:
            raise wrong_type(where, given="a stream", expected="the table as it is at one version, from spark.read")
        _check(frame, columns=contract.columns, where=where)
        # named: of a view or a catalog table a column would keep its qualifier, and `a.b` could mean either
        checked[contract.name] = frame.selectExpr(*[named(column(one.name), one.name) for one in contract.columns])
    return checked


def _check_frame(frame: object, *, where: str) -> None:
    if not isinstance(frame, DataFrame):
        kind = type(frame)
        raise wrong_type(where, given=f"{kind.__module__}.{kind.__qualname__}", expected="a Spark DataFrame")


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


def rejection(names: Sequence[str], *, rows: Rows) -> str:
    """`PARSE`, else the first declared column that breaks the contract, else null."""
    cases = [case for declared in rows.columns for case in _schema_broken(declared, names=names, rows=rows)]
    if PARSE in names:
        parse = f"named_struct('code', 'PARSE', 'detail', {PARSE})"
        cases.insert(0, (f"{PARSE} is not null", parse))
    if BAD in names:
        cases.append((_is_bad(UNKNOWN_FIELD), _schema("a field that is not declared")))
    whens = " ".join(f"when {condition} then {found}" for condition, found in cases)
    return f"case {whens} else {NO_REASON} end" if cases else NO_REASON


def _schema_broken(declared: Declared, *, names: Sequence[str], rows: Rows) -> Iterator[tuple[str, str]]:
    name = declared.name
    if BAD in names:
        yield _is_bad(name), _schema(f"{name}: a value of another type")
    if not declared.nullable:
        yield f"{column(name)} is null", _schema(f"{name}: null, declared not null")
    if name == rows.time:
        yield f"({instant(rows)}) is null", _schema(f"{name}: outside time_range")


def _is_bad(name: str) -> str:
    return f"array_contains({BAD}, {quote(name)})"


def _schema(detail: str) -> str:
    return reason("SCHEMA", detail=detail)
