"""Actuals: the truth about a row that becomes known later, and where it is found."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from spark_scoring.errors import contradiction, name_taken
from spark_scoring.spec.nouns import Column, Pairs
from spark_scoring.spec.pack import pack_columns
from spark_scoring.spec.read import Reader, duration_text
from spark_scoring.spec.scope import check_own_name
from spark_scoring.spec.sources import FORMATS, Source, read_table_source
from spark_scoring.spec.steps import ON, read_pairs
from spark_scoring.spec.types import check_identifier
from spark_scoring.spec.wide import read_column_mapping

UNTYPED = ("csv", "json")


@dataclass(frozen=True, kw_only=True)
class Actual:
    """A column of a table that is joined to training sets by key. `on`: (row column, table column).

    `time`: the column that says when an actual became known. What becomes known later than `matures_after` the row's
    time does not count. `columns` are declared for formats that carry no types.
    """

    name: str
    source: Source
    on: Pairs
    column: str
    matures_after: timedelta
    time: str | None = None
    columns: tuple[Column, ...] = ()

    def pack(self) -> dict[str, Any]:
        """What it is, as plain data, without the source's options: they may hold secrets."""
        return {
            "name": self.name,
            self.source.format: self.source.location,
            "on": [list(pair) for pair in self.on],
            "column": self.column,
            "time": self.time,
            "matures_after": duration_text(self.matures_after),
            "columns": pack_columns(self.columns, where=f"actuals.{self.name}.columns"),
        }


def read_actuals(reader: Reader) -> tuple[Actual, ...]:
    """The `actuals` part of a job."""
    found: list[Actual] = []
    for name, item in reader.items("a mapping {actual: where it is}"):
        check_own_name(check_identifier(name, where=item.where), where=item.where)
        for other in found:
            if other.name.lower() == name.lower():
                raise name_taken(item.where, given=name, taken_by=f"actual {other.name}")
        found.append(read_actual(name, item))
    return tuple(found)


def read_actual(name: str, reader: Reader) -> Actual:
    """One actual: a source as tables have it, its key, its column and how long it takes to become known."""
    reader.keys(*FORMATS, "options", "pinned", "on", "column", "time", "matures_after", "columns")
    source = _read_place(name, reader)
    on = tuple((left, right) for left, right, _ in read_pairs(reader.need("on", ON), expected=ON))
    return Actual(
        name=name,
        source=source,
        on=on,
        column=reader.need("column", "the table's column that holds the truth").text("a column name"),
        matures_after=reader.need("matures_after", "how long after a row the truth is final, as in 2d").duration(),
        time=reader.maybe("time", lambda found: found.text("a column name"), None),
        columns=_read_columns(reader, source=source),
    )


def _read_place(name: str, reader: Reader) -> Source:
    place = {key: item.value for key, item in reader.items() if key in (*FORMATS, "options", "pinned")}
    return read_table_source(name, Reader(value=place, source=reader.source, path=reader.path)).source


def _read_columns(reader: Reader, *, source: Source) -> tuple[Column, ...]:
    if source.format in UNTYPED:
        needed = reader.need("columns", f"a mapping {{column: type}}, as {source.format} carries no types")
        return read_column_mapping(needed, own=False)
    if "columns" in dict(reader.items()):
        why, do = "it carries its own types", "Leave 'columns' out"
        raise contradiction(reader.where, given=f"'columns' for {source.format}", why=why, do=do)
    return ()
