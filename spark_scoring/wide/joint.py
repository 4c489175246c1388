"""The join of rows to indexes: one for all steps in a row that have the same keys, so that a row is looked up once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import islice

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_scoring.jvm.functions import call
from spark_scoring.wide import frames
from spark_scoring.wide.frames import HELPER, REJECTED, Given, helper
from spark_scoring.wide.strategy import in_one_task

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Items:
    """Rows of a table with `__wide_key_<i>`; the bucket that each stands in, or `explode` of several; what an index
    holds of it."""

    table: Given
    frame: DataFrame
    bucket: str
    item: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """What some steps need of an index, and take from it.

    `index` makes the index of one list for each of `items`; `found` is what is looked up in it at an instant, `added`
    the steps' columns. `what` tells parts over the same tables apart.
    """

    on: Pairs
    what: object
    items: Sequence[Items]
    width: int | None
    index: Callable[[Sequence[str]], str]
    found: Callable[[str, str], str]
    added: Callable[[str], list[str]]


def add_parts(frame: DataFrame, *, parts: Sequence[Part]) -> DataFrame:
    """The frame with the columns of all parts, which have one strategy, and the same columns of the rows as keys."""
    first, tables = parts[0], [items.table for part in parts for items in part.items]
    timed = frame.selectExpr("*", f"{frames.instant(tables[0].rows)} as {HELPER}at")
    on = frames.key_pairs(first.on)
    if first.width is not None:
        on.append((frames.bucket(helper("at"), width=first.width), helper("bucket")))
    joined = frames.beside(timed, indexes(parts), tables=tables, on=on, what=[part.what for part in parts])
    return taken(joined, before=frame.columns, parts=parts)


def taken(joined: DataFrame, *, before: Sequence[str], parts: Sequence[Part]) -> DataFrame:
    """Rows that met `__wide_index_<i>` of each part, with the columns that the parts add."""
    found = [helper(f"found_{i}") for i in range(len(parts))]
    # looked up in a layer of its own: each column that is taken would look it up again
    looked_up = joined.selectExpr(
        "*",
        *[f"{part.found(helper(f'index_{i}'), helper('at'))} as {found[i]}" for i, part in enumerate(parts)],
    )
    added = [column for part, name in zip(parts, found, strict=True) for column in part.added(name)]
    return frames.with_added(looked_up, before=before, added=added, rejected=REJECTED)


def indexes(parts: Sequence[Part]) -> DataFrame:
    """`__wide_index_<i>` of each part, by key and bucket: one shuffle of all their items."""
    keys = [*frames.key_names(parts[0].on), helper("bucket")]
    sides = [one for part in parts for one in part.items]
    names = [helper(f"item_{i}") for i in range(len(sides))]
    chosen = [
        one.frame.selectExpr(*keys[:-1], f"{one.bucket} as {keys[-1]}", f"{one.item} as {name}")
        for one, name in zip(sides, names, strict=True)
    ]
    items = reduce(partial(DataFrame.unionByName, allowMissingColumns=True), chosen)
    gathered = in_one_task(items, tables=[one.table.strategy for one in sides])
    # one list for all sides: Spark would build, send and merge one for each, most of them empty
    all_items, apart = helper("items"), len(sides) > 1
    item = f"struct({', '.join(names)})" if apart else names[0]
    grouped = gathered.groupBy(*keys).agg(F.expr(f"collect_list({item}) as {all_items}"))
    lists = iter([call("side", str(i), all_items) if apart else all_items for i in range(len(sides))])
    made = [part.index(list(islice(lists, len(part.items)))) for part in parts]
    return grouped.selectExpr(*keys, *[f"{index} as {HELPER}index_{i}" for i, index in enumerate(made)])
