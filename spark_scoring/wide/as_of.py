"""The step `as_of`: the last table row at the row's time, found in a sorted index of its key.

The index of a key, or of a key and a stretch of time, is one row of arrays: the instants from which each answer
holds, and the answers. A row meets at most one index: a left join, legal on a stream, without a sort of the rows.
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame

from spark_scoring.jvm.functions import call
from spark_scoring.spec.wide import AsOf
from spark_scoring.wide import frames
from spark_scoring.wide.frames import HELPER, Given, helper, named
from spark_scoring.wide.joint import Items, Part
from spark_scoring.wide.reach import instants, reachable


def as_of_part(steps: Sequence[AsOf], *, tables: Sequence[Given]) -> Part:
    """The last row of each step's table at each instant: steps with one `on`, and of several each with one bucket."""
    width = frames.bucket_width(_age_us(steps[0]), table=tables[0])
    placed = [_placed(step, table=table, width=width) for step, table in zip(steps, tables, strict=True)]
    return part_of(placed, steps=steps, width=width)


def part_of(items: Sequence[Items], *, steps: Sequence[AsOf], width: int | None) -> Part:
    """The part of steps with these items, one each."""
    news = [new for step in steps for new, _ in step.take]
    takes = ",".join(str(len(step.take)) for step in steps)
    return Part(
        on=steps[0].on,
        what=tuple(steps),
        items=items,
        width=width,
        index=lambda lists: call("as_of_indexes", "", f"struct({', '.join(map(_index, steps, lists))})"),
        found=lambda index, at: call("as_of_answers", takes, index, at),
        added=lambda found: [named(f"{found}.a{i}", new) for i, new in enumerate(news)],
    )


def in_bucket(items: DataFrame, *, bucket: str, table: Given) -> Items:
    """What `items_of` gives, each in these buckets."""
    parts = ["from", "take"] if table.contract.known_at is None else ["from", "take", "time", "known"]
    fields = ", ".join(f"'{part}', {helper(part)}" for part in parts)
    return Items(table=table, frame=items, bucket=bucket, item=f"named_struct({fields})")


def _placed(step: AsOf, *, table: Given, width: int | None) -> Items:
    """The items in their buckets; one that is no older than `max_age` lies in two at most."""
    items = items_of(table, step=step, age_us=_age_us(step))
    latest = f"try_add({helper('time')}, {_age_us(step) or 0}L)"
    if width is not None:
        # what is known too late to be young enough is never an answer
        items = items.where(f"{helper('from')} <= {latest}")
    return in_bucket(items, bucket=frames.buckets([helper("from"), latest], width=width), table=table)


def _index(step: AsOf, items: str) -> str:
    age_us = _age_us(step)
    return call("as_of_index", f"{-1 if age_us is None else age_us},{int(step.strict)}", items)


def _age_us(step: AsOf) -> int | None:
    return None if step.max_age is None else frames.length_us(step.max_age)


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
