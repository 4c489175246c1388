"""The step `window`: aggregates of the table rows in the stretch of time before the row.

The table is grouped once into indexes, one for each key and time bucket: sorted arrays with running totals, so
that a window of any width costs a few look-ups. Each table row lies in the buckets from which a window reaches
it, two at most, and a row finds all of its window in the one index of its bucket: a left join with at most one
match, legal on a stream. Steps over one table and one key share the index of the longest of them.
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from spark_scoring.jvm.functions import call
from spark_scoring.spec.wide import Window
from spark_scoring.wide import frames
from spark_scoring.wide.frames import HELPER, Given, helper
from spark_scoring.wide.items import check_types, item_of, read_by
from spark_scoring.wide.joint import Items, Part
from spark_scoring.wide.measures import plan_of
from spark_scoring.wide.reach import instants, reachable


def window_part(steps: Sequence[Window], *, table: Given) -> Part:
    """One column for each aggregate of steps over one table and one `on`; of an empty window counts are 0, the rest is
    null."""
    last_us = max(frames.length_us(step.last) for step in steps)
    items, width = _items(table, steps=steps, last_us=last_us), frames.bucket_width(last_us, table=table)
    # a window reaches a row at the instants time < instant <= time + last
    bucket = frames.buckets([f"{helper('time')} + 1L", f"{helper('time')} + {width or 0}L"], width=width)
    kind = items.schema[f"{HELPER}item"].dataType
    fields = kind.fields if isinstance(kind, StructType) else []
    check_types({field.name: field.dataType for field in fields}, steps=steps)
    plan = plan_of(steps, fields=fields, known=table.contract.known_at is not None)
    return Part(
        on=steps[0].on,
        what=tuple(steps),
        items=[Items(table=table, frame=items, bucket=bucket, item=helper("item"))],
        width=width,
        index=lambda lists: call("window_index", plan.index(), *lists),
        found=lambda index, at: call("window_aggregates", plan.found(), index, at),
        added=plan.columns,
    )


def _items(table: Given, *, steps: Sequence[Window], last_us: int) -> DataFrame:
    on, (time, _) = steps[0].on, instants(table.contract)
    seen = reachable(table, on=on, back_us=last_us)
    item = item_of(seen, read=read_by(steps), contract=table.contract)
    return seen.selectExpr(*frames.key_columns(on), f"{time} as {HELPER}time", f"{item} as {HELPER}item")
