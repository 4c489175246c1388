"""The step `window`: aggregates of the table rows in the stretch of time before the row.

The table is grouped once into sorted arrays, one for each key and time bucket, and each table row lies in
the buckets from which a window reaches it, two at most. A row then finds all of its window in the one array
of its bucket: a left join with at most one match, legal on a stream. What a window holds, and in which order,
depends on the key and the instant alone.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from spark_scoring.spec.wide import Window
from spark_scoring.wide import frames
from spark_scoring.wide.frames import HELPER, REJECTED, Given, helper
from spark_scoring.wide.items import WINDOW, aggregated, check_types, item_of, read_by, with_values
from spark_scoring.wide.reach import instants, reachable


def add_window(frame: DataFrame, *, step: Window, table: Given) -> DataFrame:
    """The frame with one column for each aggregate; of an empty window counts are 0, the rest is null."""
    last_us = frames.length_us(step.last)
    items = _items(table, step=step, last_us=last_us)
    kind = items.schema[f"{HELPER}item"].dataType
    types = {field.name: field.dataType for field in kind.fields} if isinstance(kind, StructType) else {}
    check_types(types, step=step)
    # The instant stands in a column of its own: inside a lambda it would be computed again for each item.
    timed = frame.select("*", *_places(table, last_us=last_us))
    same = frames.keys_match(step.on) & (helper("row_bucket") == helper("bucket"))
    joined = timed.join(_arrays(items, step=step), same, "left")
    windows = joined.select(*map(frames.column, frame.columns), _inside(last_us=last_us).alias(WINDOW))
    added = aggregated(step, types=types)
    return frames.with_added(
        with_values(windows, step=step), before=frame.columns, added=added, rejected=F.col(REJECTED)
    )


def _items(table: Given, *, step: Window, last_us: int) -> DataFrame:
    """The table rows as items, once for each bucket from which a window reaches them.

    A window reaches a row at the instants time < instant <= time + last.
    """
    seen = reachable(table, on=step.on, back_us=last_us)
    item = item_of(seen, read=read_by(step), contract=table.contract).alias(f"{HELPER}item")
    items = seen.select(*frames.key_columns(step.on), *instants(table.contract), item)
    width = frames.bucket_width(last_us, rows=table.rows)
    reached = [frames.bucket(helper("time") + shift, width=width) for shift in (1, width or 1)]
    return items.withColumn(f"{HELPER}bucket", F.explode(F.array_distinct(F.array(*reached))))


def _arrays(items: DataFrame, *, step: Window) -> DataFrame:
    """`__wide_items`: the items of one key and bucket, in the order that a window has."""
    groups = [f"{HELPER}key_{i}" for i in range(len(step.on))]
    ordered = F.sort_array(F.collect_list(helper("item")))
    return items.groupBy(*groups, f"{HELPER}bucket").agg(ordered.alias(f"{HELPER}items"))


def _places(table: Given, *, last_us: int) -> list[Column]:
    """Where a row stands: its instant and its bucket."""
    at, width = frames.instant(table.rows), frames.bucket_width(last_us, rows=table.rows)
    return [at.alias(f"{HELPER}at"), frames.bucket(at, width=width).alias(f"{HELPER}row_bucket")]


def _inside(*, last_us: int) -> Column:
    """The items of the row's own window."""
    at, since = helper("at"), helper("at") - last_us

    def inside(item: Column) -> Column:
        order = item["order"]
        return (order["time"] >= since) & (order["time"] < at) & (order["known"] <= at)

    return F.filter(helper("items"), inside)
