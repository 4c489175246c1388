"""Definitions back to plain mappings, in one canonical form."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

from spark_scoring.errors import contradiction
from spark_scoring.spec.aggregates import aggregate_text
from spark_scoring.spec.nouns import (
    EPOCH_TO_2100,
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
from spark_scoring.spec.read import duration_text

T = TypeVar("T")
_KINDS = {Lookup: "lookup", AsOf: "as_of", Window: "window"}


def _mapping(pairs: Iterable[tuple[str, T]], *, where: str) -> dict[str, T]:
    """The pairs as a mapping.

    Raises: ConfigError for a name that stands twice, which a mapping would drop.
    """
    found: dict[str, T] = {}
    for name, value in pairs:
        if name in found:
            raise contradiction(where, given=f"'{name}' twice", why="a name stands for one thing", do="Keep one")
        found[name] = value
    return found


def pack_columns(columns: tuple[Column, ...], *, where: str) -> dict[str, str]:
    types = [(column.name, column.type + ("" if column.nullable else " not null")) for column in columns]
    return _mapping(types, where=where)


def _instant(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def pack_rows(rows: Rows) -> dict[str, Any]:
    packed: dict[str, Any] = {
        "key": list(rows.key),
        "time": rows.time,
        "columns": pack_columns(rows.columns, where="rows.columns"),
    }
    if rows.time_range != EPOCH_TO_2100:
        packed["time_range"] = [_instant(instant) for instant in rows.time_range]
    return packed


def pack_table(table: Table) -> dict[str, Any]:
    times = {"time": table.time, "known_at": table.known_at}
    return {
        **{name: column for name, column in times.items() if column},
        "columns": pack_columns(table.columns, where=f"tables.{table.name}.columns"),
    }


def pack_step(step: Step) -> dict[str, Any]:
    if isinstance(step, Columns):
        return {"columns": _mapping([(new, found.text) for new, found in step.take], where="columns")}
    if isinstance(step, Window):
        where = f"window {step.table}: take"
        take = _mapping([(new, aggregate_text(aggregate)) for new, aggregate in step.take], where=where)
        last = duration_text(step.last)
        return {"window": step.table, "on": _on(step), "last": last, "take": take, **_strategy(step)}
    if isinstance(step, AsOf):
        extra = {"max_age": duration_text(step.max_age)} if step.max_age else {}
        strict = {"strict": True} if step.strict else {}
        take = _mapping(step.take, where=f"as_of {step.table}: take")
        return {"as_of": step.table, "on": _on(step), **extra, **strict, "take": take, **_strategy(step)}
    return _lookup(step)


def _lookup(step: Lookup) -> dict[str, Any]:
    required = {"required": True} if step.required else {}
    take = _mapping(step.take, where=f"lookup {step.table}: take")
    return {"lookup": step.table, "on": _on(step), "take": take, **required, **_strategy(step)}


def _strategy(step: Lookup | AsOf | Window) -> dict[str, str]:
    return {"strategy": step.strategy} if step.strategy else {}


def _on(step: Lookup | AsOf | Window) -> dict[str, str]:
    return _mapping(step.on, where=f"{_KINDS[type(step)]} {step.table}: on")


def pack_wide(
    *, name: str, rows: Rows, tables: tuple[Table, ...], steps: tuple[Step, ...], rules: tuple[Rule, ...]
) -> dict[str, Any]:
    """The mapping of a whole definition; empty parts are left out."""
    parts = {
        "tables": _mapping([(table.name, pack_table(table)) for table in tables], where=f"{name}: tables"),
        "steps": [pack_step(step) for step in steps],
        "rules": _mapping([(rule.name, rule.condition.text) for rule in rules], where=f"{name}: rules"),
    }
    return {"name": name, "rows": pack_rows(rows), **{key: part for key, part in parts.items() if part}}
