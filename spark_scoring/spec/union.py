"""Several definitions over the same rows, as one that says what all of them read."""

from collections.abc import Iterable, Sequence

from spark_scoring.errors import definitions_differ
from spark_scoring.spec.nouns import Column, Rows, Table
from spark_scoring.spec.wide import WideTable


def union_of(wides: Sequence[WideTable]) -> WideTable:
    """The columns and tables of all, and every step once. It tells what is read, and is never itself transformed.

    A column of the rows of one may be computed by another.

    Raises: RunError: two differ in the rows' key, time or `time_range`, or in the type of a column.
    """
    first, others = wides[0], wides[1:]
    if not others:
        return first
    for other in others:
        for what in ("key", "time", "time_range"):
            ours, theirs = getattr(first.rows, what), getattr(other.rows, what)
            if ours != theirs:
                raise definitions_differ(f"rows.{what}", given=theirs, of=other.name, known=ours, before=first.name)
    columns = _columns("rows.columns", [(wide.name, wide.rows.columns) for wide in wides])
    rows = Rows(key=first.rows.key, time=first.rows.time, columns=columns, time_range=first.rows.time_range)
    steps = dict.fromkeys(step for wide in wides for step in wide.steps)
    return WideTable.unchecked(name=first.name, rows=rows, tables=tuple(_tables(wides)), steps=tuple(steps), rules=())


def _tables(wides: Sequence[WideTable]) -> Iterable[Table]:
    names = dict.fromkeys(table.name.lower() for wide in wides for table in wide.tables)
    for name in names:
        found = [(wide.name, table) for wide in wides for table in wide.tables if table.name.lower() == name]
        first = found[0][1]
        yield Table(
            name=first.name,
            columns=_columns(f"tables.{first.name}", [(owner, table.columns) for owner, table in found]),
            time=next((table.time for _, table in found if table.time), None),
            known_at=next((table.known_at for _, table in found if table.known_at), None),
        )


def _columns(where: str, given: Iterable[tuple[str, tuple[Column, ...]]]) -> tuple[Column, ...]:
    """All columns, those of the first owner first; nullable if one of the owners takes a null."""
    known: dict[str, tuple[str, Column]] = {}
    for owner, columns in given:
        for column in columns:
            before, there = known.setdefault(column.name.lower(), (owner, column))
            if there.type.lower() != column.type.lower():
                place = f"{where}.{column.name}"
                raise definitions_differ(place, given=column.type, of=owner, known=there.type, before=before)
            nullable = there.nullable or column.nullable
            known[column.name.lower()] = before, Column(name=there.name, type=there.type, nullable=nullable)
    return tuple(column for _, column in known.values())
