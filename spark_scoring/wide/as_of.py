"""The step `as_of`: the last table row at the row's time, found in a sorted index of its key.

The index of a key, or of a key and a stretch of time, is one row of arrays: the instants from which each answer
holds, and the answers. A row meets at most one index: a left join, legal on a stream, without a sort of the rows.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_scoring.jvm.functions import call
from spark_scoring.spec.wide import AsOf
from spark_scoring.wide import frames
from spark_scoring.wide.frames import HELPER, Given, helper
from spark_scoring.wide.joint import Part
from spark_scoring.wide.reach import instants, reachable


def as_of_part(step: AsOf, *, table: Given) -> Part:
    """The last row of each instant; one that is no older than `max_age` lies in two buckets at most."""
    age_us = None if step.max_age is None else frames.length_us(step.max_age)
    width = frames.bucket_width(age_us, table=table)
    items = items_of(table, step=step, age_us=age_us)
    if width is not None:
        # what is known too late to be young enough is never an answer
        items = items.where(helper("from") <= F.try_add(helper("time"), F.lit(age_us)))
    ends = [helper("from"), F.try_add(helper("time"), F.lit(age_us or 0))]
    return part_of(frames.in_buckets(items, ends=ends, width=width), step=step, table=table, width=width)


def part_of(items: DataFrame, *, step: AsOf, table: Given, width: int | None) -> Part:
    """The part of a step whose items have keys, `__wide_bucket` and what `items_of` gives them."""
    age = -1 if step.max_age is None else frames.length_us(step.max_age)
    parts = ["from", "take"] if table.contract.known_at is None else ["from", "take", "time", "known"]
    item = F.struct(*[helper(part).alias(part) for part in parts])
    keys = [*map(F.col, frames.key_names(step.on)), helper("bucket")]
    return Part(
        on=step.on,
        table=table,
        what=step,
        items=items.select(*keys, item.alias(f"{HELPER}item")),
        width=width,
        index=lambda items: call("as_of_index", f"{age},{int(step.strict)}", items),
        found=lambda index, at: [call("as_of_position", "", index, at)],
        added=lambda index, found: [
            F.get(index[f"take_{i}"], found[0]).alias(new) for i, (new, _) in enumerate(step.take)
        ],
    )


def items_of(table: Given, *, step: AsOf, age_us: int | None) -> DataFrame:
    """The table rows in reach; `__wide_from`: the first instant at which one can be the answer."""
    seen = reachable(table, on=step.on, back_us=age_us)
    taken = [frames.column(source).alias(f"take_{i}") for i, (_, source) in enumerate(step.take)]
    take = F.struct(*taken).alias(f"{HELPER}take")
    seen = seen.select(*frames.key_columns(step.on), *instants(table.contract), take)
    # `strict` is about the time alone: what becomes known at the row's instant may be used.
    earliest = F.try_add(helper("time"), F.lit(1)) if step.strict else helper("time")
    return seen.withColumn(f"{HELPER}from", F.greatest(earliest, helper("known")))
