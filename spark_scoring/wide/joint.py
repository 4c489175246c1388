"""The join of rows to indexes: one for all steps in a row that have the same keys, so that a row is looked up once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_scoring.wide import frames
from spark_scoring.wide.frames import HELPER, REJECTED, Given, helper

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """What steps over one table need of an index, and take from it.

    `items`: the table's rows with `__wide_key_<i>` and `__wide_bucket`; `item`: what the index holds of one. `index`
    makes the index of a list of items; `found` is what is looked up in it at an instant, `added` the steps' columns.
    """

    on: Pairs
    table: Given
    what: object
    items: DataFrame
    item: str
    width: int | None
    index: Callable[[str], str]
    found: Callable[[str, str], list[str]]
    added: Callable[[str, list[str]], list[str]]


def add_parts(frame: DataFrame, *, parts: Sequence[Part]) -> DataFrame:
    """The frame with the columns of all parts, which have one strategy, and the same columns of the rows as keys."""
    first = parts[0]
    timed = frame.selectExpr("*", f"{frames.instant(first.table.rows)} as {HELPER}at")
    on = frames.key_pairs(first.on)
    if first.width is not None:
        on.append((frames.bucket(helper("at"), width=first.width), helper("bucket")))
    tables, what = [part.table for part in parts], [part.what for part in parts]
    joined = frames.beside(timed, indexes(parts), tables=tables, on=on, what=what)
    return taken(joined, before=frame.columns, parts=parts)


def taken(joined: DataFrame, *, before: Sequence[str], parts: Sequence[Part]) -> DataFrame:
    """Rows that met `__wide_index_<i>` of each part, with the columns that the parts add."""
    calls, added = [], []
    for i, part in enumerate(parts):
        index = helper(f"index_{i}")
        found = part.found(index, helper("at"))
        names = [helper(f"found_{i}_{j}") for j in range(len(found))]
        calls += [f"{call} as {name}" for call, name in zip(found, names, strict=True)]
        added += part.added(index, names)
    # looked up in a layer of its own: each column that is taken would look it up again
    found_all = joined.selectExpr("*", *calls)
    return frames.with_added(found_all, before=before, added=added, rejected=REJECTED)


def indexes(parts: Sequence[Part]) -> DataFrame:
    """`__wide_index_<i>` of each part, by key and bucket: one shuffle of all their items."""
    keys = [*frames.key_names(parts[0].on), helper("bucket")]
    sides = [part.items.selectExpr(*keys, f"{part.item} as {HELPER}item_{i}") for i, part in enumerate(parts)]
    items = sides[0]
    for side in sides[1:]:
        items = items.unionByName(side, allowMissingColumns=True)
    # a null is no item
    lists = [part.index(f"collect_list({helper(f'item_{i}')})") for i, part in enumerate(parts)]
    return items.groupBy(*keys).agg(*[F.expr(f"{made} as {helper(f'index_{i}')}") for i, made in enumerate(lists)])
