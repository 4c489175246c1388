"""The join of rows to indexes: one for all steps in a row that have the same keys, so that a row is looked up once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_scoring.wide import frames
from spark_scoring.wide.frames import HELPER, REJECTED, Given, helper

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What steps over one table need of an index, and take from it.

    `items`: the table's rows with `__wide_key_<i>`, `__wide_bucket` and the struct `__wide_item`. `index` makes the
    index of a list of items; `found` is what is looked up in it at an instant, `added` the steps' columns.
    """

    on: Pairs
    table: Given
    what: object
    items: DataFrame
    width: int | None
    index: Callable[[Column], Column]
    found: Callable[[Column, Column], list[Column]]
    added: Callable[[Column, list[Column]], list[Column]]


def add_parts(frame: DataFrame, *, parts: Sequence[Part]) -> DataFrame:
    """The frame with the columns of all parts, which have one strategy, and the same columns of the rows as keys."""
    first = parts[0]
    timed = frame.withColumn(f"{HELPER}at", frames.instant(first.table.rows))
    here = frames.bucket(helper("at"), width=first.width) == helper("bucket")
    index = frames.kept([part.table for part in parts], indexes(parts), what=[part.what for part in parts])
    joined = timed.join(index, frames.keys_match(first.on) & here, "left")
    return taken(joined, before=frame.columns, parts=parts)


def taken(joined: DataFrame, *, before: Sequence[str], parts: Sequence[Part]) -> DataFrame:
    """Rows that met `__wide_index_<i>` of each part, with the columns that the parts add."""
    indexes = [helper(f"index_{i}") for i in range(len(parts))]
    calls = [part.found(index, helper("at")) for part, index in zip(parts, indexes, strict=True)]
    names = [[f"{HELPER}found_{i}_{j}" for j in range(len(found))] for i, found in enumerate(calls)]
    # looked up in a layer of its own: each column that is taken would look it up again
    columns = {name: call for part in range(len(parts)) for name, call in zip(names[part], calls[part], strict=True)}
    found = joined.withColumns(columns)
    added = [
        column
        for part, index, own in zip(parts, indexes, names, strict=True)
        for column in part.added(index, [F.col(name) for name in own])
    ]
    return frames.with_added(found, before=before, added=added, rejected=F.col(REJECTED))


def indexes(parts: Sequence[Part]) -> DataFrame:
    """`__wide_index_<i>` of each part, by key and bucket: one shuffle of all their items."""
    keys = [*frames.key_names(parts[0].on), f"{HELPER}bucket"]
    kinds = [part.items.schema[f"{HELPER}item"].dataType for part in parts]
    sides = []
    for i, part in enumerate(parts):
        nothing = [F.lit(None).cast(kind) for kind in kinds]
        cells = [helper("item") if i == j else cell for j, cell in enumerate(nothing)]
        sides.append(part.items.select(*keys, *[cell.alias(f"{HELPER}item_{j}") for j, cell in enumerate(cells)]))
    items = sides[0]
    for side in sides[1:]:
        items = items.unionByName(side)
    # a null is no item
    lists = [part.index(F.collect_list(helper(f"item_{i}"))) for i, part in enumerate(parts)]
    return items.groupBy(*keys).agg(*[made.alias(f"{HELPER}index_{i}") for i, made in enumerate(lists)])
