"""The step `as_of`: the last table row at the row's time, found in a sorted index of its key.

The index of a key, or of a key and a stretch of time, is one row of arrays: the instants from which each answer
holds, and the answers. A row meets at most one index: a left join, legal on a stream, without a sort of the rows.
"""

from pyspark.sql import DataFrame

from spark_scoring.jvm.functions import call
from spark_scoring.spec.wide import AsOf
from spark_scoring.wide import frames
from spark_scoring.wide.frames import HELPER, Given, helper, named
from spark_scoring.wide.joint import Part
from spark_scoring.wide.reach import instants, reachable


def as_of_part(step: AsOf, *, table: Given) -> Part:
    """The last row of each instant; one that is no older than `max_age` lies in two buckets at most."""
    age_us = None if step.max_age is None else frames.length_us(step.max_age)
    width = frames.bucket_width(age_us, table=table)
    items = items_of(table, step=step, age_us=age_us)
    latest = f"try_add({helper('time')}, {age_us or 0}L)"
    if width is not None:
        # what is known too late to be young enough is never an answer
        items = items.where(f"{helper('from')} <= {latest}")
    return part_of(
        frames.in_buckets(items, ends=[helper("from"), latest], width=width), step=step, table=table, width=width
    )


def part_of(items: DataFrame, *, step: AsOf, table: Given, width: int | None) -> Part:
    """The part of a step whose items have keys, `__wide_bucket` and what `items_of` gives them."""
    age = -1 if step.max_age is None else frames.length_us(step.max_age)
    parts = ["from", "take"] if table.contract.known_at is None else ["from", "take", "time", "known"]
    item = ", ".join(f"'{part}', {helper(part)}" for part in parts)
    return Part(
        on=step.on,
        table=table,
        what=step,
        items=items,
        item=f"named_struct({item})",
        width=width,
        index=lambda items: call("as_of_index", f"{age},{int(step.strict)}", items),
        found=lambda index, at: [call("as_of_position", "", index, at)],
        added=lambda index, found: [
            named(f"get({index}.take_{i}, {found[0]})", new) for i, (new, _) in enumerate(step.take)
        ],
    )


def items_of(table: Given, *, step: AsOf, age_us: int | None) -> DataFrame:
    """The table rows in reach; `__wide_from`: the first instant at which one can be the answer."""
    time, known = instants(table.contract)
    # `strict` is about the time alone: what becomes known at the row's instant may be used.
    earliest = f"try_add({time}, 1L)" if step.strict else time
    take = ", ".join(f"'take_{i}', {frames.column(source)}" for i, (_, source) in enumerate(step.take))
    return reachable(table, on=step.on, back_us=age_us).selectExpr(
        *frames.key_columns(step.on),
        f"{time} as {HELPER}time",
        f"{known} as {HELPER}known",
        f"greatest({earliest}, {known}) as {HELPER}from",
        f"named_struct({take}) as {HELPER}take",
    )
