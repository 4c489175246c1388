"""The definition of a wide table: what `wide.yaml` says, checked, without Spark."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_scoring.errors import bad_value, contradiction, name_taken
from spark_scoring.spec.nouns import (
    EPOCH_TO_2100,
    Aggregate,
    AsOf,
    Column,
    Columns,
    Lookup,
    Rows,
    Rule,
    Step,
    Table,
    Window,
)
from spark_scoring.spec.pack import pack_wide
from spark_scoring.spec.read import Reader, dump_yaml, read_yaml
from spark_scoring.spec.scope import Name, Scope, check_own_name
from spark_scoring.spec.sql import Expression
from spark_scoring.spec.steps import read_rule, read_step
from spark_scoring.spec.types import check_identifier, parse_declared

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = [
    "Aggregate", "AsOf", "Column", "Columns", "Lookup", "Rows", "Rule", "Step", "Table",
    "WideTable", "Window",
]  # fmt: skip


@dataclass(frozen=True, init=False)
class WideTable:
    """Rows after all steps: one definition for training, batch and stream."""

    name: str
    rows: Rows
    tables: tuple[Table, ...]
    steps: tuple[Step, ...]
    rules: tuple[Rule, ...]

    def __init__(
        self,
        *,
        name: str,
        rows: Rows,
        tables: Iterable[Table] = (),
        steps: Iterable[Step] = (),
        rules: Mapping[str, str | Expression] | Iterable[Rule] = (),
    ) -> None:
        """The definition made of these parts, checked like one in YAML.

        Raises: ConfigError that names the definition and the place in it.
        """
        if isinstance(rules, Mapping):
            rules = [Rule(name=rule, condition=condition) for rule, condition in rules.items()]
        # read again, as in YAML: what a part was checked against before may be another definition
        packed = pack_wide(name=name, rows=rows, tables=tuple(tables), steps=tuple(steps), rules=tuple(rules))
        self._keep(_read_parts(Reader(value=packed, source=name)))

    def _keep(self, parts: "_Parts") -> None:
        for part in fields(parts):
            object.__setattr__(self, part.name, getattr(parts, part.name))

    @staticmethod
    def unchecked(
        *, name: str, rows: Rows, tables: tuple[Table, ...], steps: tuple[Step, ...], rules: tuple[Rule, ...]
    ) -> "WideTable":
        """The parts of definitions that were checked before, as they are."""
        wide = object.__new__(WideTable)
        wide._keep(_Parts(name=name, rows=rows, tables=tables, steps=steps, rules=rules))
        return wide

    @staticmethod
    def load(path: str | Path) -> "WideTable":
        """The definition in a YAML file.

        Raises: ConfigError that names the file and the place in it.
        """
        return WideTable.unpack(read_yaml(path), source=str(path))

    @staticmethod
    def unpack(mapping: Mapping[str, Any], source: str = "wide.yaml") -> "WideTable":
        """The definition in a mapping as YAML gives it; reads no file.

        Raises: ConfigError that names `source` and the place in it.
        """
        wide = object.__new__(WideTable)
        wide._keep(_read_parts(Reader(value=mapping, source=source)))
        return wide

    def pack(self) -> dict[str, Any]:
        """The mapping that unpacks to this definition, in one canonical form."""
        return pack_wide(name=self.name, rows=self.rows, tables=self.tables, steps=self.steps, rules=self.rules)

    def dump(self) -> str:
        """The definition as YAML text."""
        return dump_yaml(self.pack())

    def table(self, name: str) -> Table:
        """The contract of one table.

        Raises: ConfigError with the nearest name.
        """
        names = tuple(Name(name=table.name, type="", origin="") for table in self.tables)
        found = Scope(owner=f"wide table {self.name}", names=names).find(name, where=self.name, kind="table").name
        return next(table for table in self.tables if table.name == found)

    def columns_added(self) -> tuple[str, ...]:
        """The names that the steps add, in their order."""
        return tuple(new for step in self.steps for new, _ in step.take)

    def transform(self, rows: "DataFrame", tables: Mapping[str, "DataFrame"]) -> "DataFrame":
        """The wide table of these rows; a plan, no job is run."""
        from spark_scoring.wide.transform import transform

        return transform(self, rows, tables)


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """The parts of a definition."""

    name: str
    rows: Rows
    tables: tuple[Table, ...]
    steps: tuple[Step, ...]
    rules: tuple[Rule, ...]


def _read_parts(reader: Reader) -> _Parts:
    reader.keys("name", "rows", "tables", "steps", "rules")
    name = reader.need("name", "the name of the wide table")
    rows = read_rows(reader.need("rows", "what is scored: key, time and columns"))
    tables = reader.maybe("tables", _read_tables, ())
    origin = "a column of rows"
    scope = Scope(owner="the rows", names=tuple(Name(name=c.name, type=c.type, origin=origin) for c in rows.columns))
    steps: list[Step] = []
    for item in reader.maybe("steps", lambda found: found.list("a list of steps"), ()):
        read = read_step(item, scope=scope, tables=tables)
        steps.append(read.step)
        scope = read.scope
    rules = tuple(
        read_rule(check_identifier(rule, where=item.where), item, scope=scope)
        for rule, item in _distinct(reader.maybe("rules", lambda found: found.items("a mapping {name: condition}"), ()))
    )
    check_identifier(name.text("a name"), where=name.where)
    return _Parts(name=name.text(), rows=rows, tables=tables, steps=tuple(steps), rules=rules)


def _distinct(items: tuple[tuple[str, Reader], ...]) -> tuple[tuple[str, Reader], ...]:
    """The items, no two names of them equal without case."""
    seen: dict[str, str] = {}
    for name, item in items:
        if name.lower() in seen:
            raise name_taken(
                item.where,
                given=name,
                taken_by=f"'{seen[name.lower()]}' stands here (names are compared without case)",
            )
        seen[name.lower()] = name
    return items


def read_column_mapping(reader: Reader, *, own: bool) -> tuple[Column, ...]:
    """The declared columns; with `own`, they become columns of the wide table."""
    columns = []
    for name, item in _distinct(reader.items("a mapping {column: type}")):
        check_identifier(name, where=item.where)
        if own:
            check_own_name(name, where=item.where)
        declared = parse_declared(item.text("a type, as in 'string not null'"), where=item.where)
        columns.append(Column(name=name, type=declared.name, nullable=declared.nullable))
    if not columns:
        raise reader.refuse("a mapping {column: type} with at least one column")
    return tuple(columns)


def _declared(reader: Reader, *, columns: tuple[Column, ...], owner: str) -> Column:
    """The column that a reader's text names."""
    names = tuple(Name(name=column.name, type=column.type, origin="") for column in columns)
    found = Scope(owner=owner, names=names).find(reader.text("a column name"), where=reader.where).name
    return next(column for column in columns if column.name == found)


def read_rows(reader: Reader) -> Rows:
    """The `rows` part."""
    reader.keys("key", "time", "columns", "time_range")
    columns = read_column_mapping(reader.need("columns", "a mapping {column: type}"), own=True)
    key_reader = reader.need("key", "a list of columns")
    key = tuple(
        _declared(item, columns=columns, owner="the rows").name for item in key_reader.list("a list of columns")
    )
    if not key or len(set(key)) < len(key):
        raise key_reader.refuse("a list of columns, at least one and none twice")
    time_reader = reader.need("time", "the column with the event time")
    time = _declared(time_reader, columns=columns, owner="the rows")
    if time.type != "timestamp" or time.nullable:
        given = f"{time.name} is {time.type}{'' if time.nullable else ' not null'}"
        do = f"Declare it as 'timestamp not null' in rows.columns.{time.name}"
        raise contradiction(time_reader.where, given=given, why="the event time is an instant and never null", do=do)
    time_range = reader.maybe("time_range", read_time_range, EPOCH_TO_2100)
    return Rows(key=key, time=time.name, columns=columns, time_range=time_range)


def read_time_range(reader: Reader) -> tuple[datetime, datetime]:
    """Two UTC instants, the first before the second."""
    expected = "two instants [from, to] in ISO 8601, the first before the second"
    items = reader.list(expected)
    if len(items) != 2:
        raise reader.refuse(expected)
    start, end = (item.instant() for item in items)
    if start >= end:
        raise bad_value(reader.where, given=f"{start.isoformat()}, {end.isoformat()}", allowed=expected)
    return start, end


def _read_tables(reader: Reader) -> tuple[Table, ...]:
    return tuple(read_table(name, item) for name, item in _distinct(reader.items("a mapping {table: contract}")))


def read_table(name: str, reader: Reader) -> Table:
    """The contract of one table."""
    check_identifier(name, where=reader.where)
    reader.keys("columns", "time", "known_at")
    columns = read_column_mapping(reader.need("columns", "a mapping {column: type}"), own=False)
    owner = f"table {name}"
    instants: dict[str, str | None] = {"time": None, "known_at": None}
    for key, item in reader.items():
        if key in instants:
            found = _declared(item, columns=columns, owner=owner)
            if found.type != "timestamp":
                raise bad_value(item.where, given=f"{found.name} ({found.type})", allowed="a column of type timestamp")
            instants[key] = found.name
    if instants["known_at"] and not instants["time"]:
        why, do = "it says when a row of a time became known, and there is no time", "Add 'time' to the table"
        raise contradiction(reader.where, given="'known_at' without 'time'", why=why, do=do)
    return Table(name=name, columns=columns, **instants)
