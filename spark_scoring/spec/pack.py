"""Definitions back to plain mappings, in one canonical form."""

from datetime import datetime
from typing import Any

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


def pack_columns(columns: tuple[Column, ...]) -> dict[str, str]:
    return {column.name: column.type + ("" if column.nullable else " not null") for column in columns}


def _instant(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def pack_rows(rows: Rows) -> dict[str, Any]:
    packed: dict[str, Any] = {"key": list(rows.key), "time": rows.time, "columns": pack_columns(rows.columns)}
    if rows.time_range != EPOCH_TO_2100:
        packed["time_range"] = [_instant(instant) for instant in rows.time_range]
    return packed


def pack_table(table: Table) -> dict[str, Any]:
    times = {"time": table.time, "known_at": table.known_at}
    return {**{name: column for name, column in times.items() if column}, "columns": pack_columns(table.columns)}


def pack_step(step: Step) -> dict[str, Any]:
    if isinstance(step, Columns):
        return {"columns": {new: expression.text for new, expression in step.take}}
    if isinstance(step, Window):
        take = {new: aggregate_text(aggregate) for new, aggregate in step.take}
        last = duration_text(step.last)
        return {"window": step.table, "on": _on(step.on), "last": last, "take": take, **_strategy(step)}
    if isinstance(step, AsOf):
        extra = {"max_age": duration_text(step.max_age)} if step.max_age else {}
        strict = {"strict": True} if step.strict else {}
        return {"as_of": step.table, "on": _on(step.on), **extra, **strict, "take": dict(step.take), **_strategy(step)}
    return _lookup(step)


def _lookup(step: Lookup) -> dict[str, Any]:
    required = {"required": True} if step.required else {}
    return {"lookup": step.table, "on": _on(step.on), "take": dict(step.take), **required, **_strategy(step)}


def _strategy(step: Lookup | AsOf | Window) -> dict[str, str]:
    return {"strategy": step.strategy} if step.strategy else {}


def _on(pairs: tuple[tuple[str, str], ...]) -> dict[str, str] | list[str]:
    return dict(pairs)


def pack_wide(
    *, name: str, rows: Rows, tables: tuple[Table, ...], steps: tuple[Step, ...], rules: tuple[Rule, ...]
) -> dict[str, Any]:
    """The mapping of a whole definition; empty parts are left out."""
    parts = {
        "tables": {table.name: pack_table(table) for table in tables},
        "steps": [pack_step(step) for step in steps],
        "rules": {rule.name: rule.condition.text for rule in rules},
    }
    return {"name": name, "rows": pack_rows(rows), **{key: part for key, part in parts.items() if part}}
