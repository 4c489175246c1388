"""Keys with a long history, cut into stretches of time, so that no row ever holds all of it."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from spark_scoring.spec.wide import AsOf
from spark_scoring.wide import frames
from spark_scoring.wide.as_of import items_of, part_of
from spark_scoring.wide.frames import HELPER, Given, helper
from spark_scoring.wide.joint import indexes, taken
from spark_scoring.wide.zeros import holds_floats, zero_rank

CELL_ROWS = 4096
_START, _WIDTH, _LAST = "cell_start", "cell_width", "cell_last"


def add_by_cell(frame: DataFrame, *, step: AsOf, table: Given) -> DataFrame:
    """The frame with the taken columns of an as-of without `max_age`, over a table that is shuffled.

    An answer lies in each cell of its key that it reaches: nothing but the next answer ends it.
    """
    keys = frames.key_names(step.on)
    items = items_of(table, step=step, age_us=None)
    long = F.broadcast(long_histories(items, keys=keys, at="from"))
    answers = _answers(items, step=step).join(long, keys, "left")
    last = F.when(helper("next").isNull(), F.coalesce(helper("cell_last"), F.lit(0)))
    touched = F.sequence(cell(helper("from")), F.coalesce(last, cell(helper("next") - 1)))
    part = part_of(answers.withColumn(f"{HELPER}bucket", F.explode(touched)), step=step, table=table, width=None)
    timed = frame.withColumn(f"{HELPER}at", frames.instant(table.rows))
    placed = timed.join(long, frames.keys_match(step.on), "left").withColumn(f"{HELPER}cell", cell(helper("at")))
    found = frames.keys_match(step.on) & (helper("cell") == helper("bucket"))
    joined = placed.drop(*keys).join(table.strategy.hinted(indexes([part])), found, "left")
    return taken(joined, before=frame.columns, parts=[part])


def long_histories(items: DataFrame, *, keys: Sequence[str], at: str) -> DataFrame:
    """The keys with more rows than two cells hold: where their first cell begins, its width, the last cell."""
    instant, count = helper(at), helper("count")
    ends = [F.min(instant).alias(f"{HELPER}start"), F.max(instant).alias(f"{HELPER}end")]
    found = items.groupBy(*keys).agg(F.count(F.lit(1)).alias(f"{HELPER}count"), *ends)
    cells = F.call_function("div", count, F.lit(CELL_ROWS))
    width = F.call_function("div", helper("end") - helper("start"), cells) + 1
    long = found.where(count > 2 * CELL_ROWS)
    parts = {_START: helper("start"), _WIDTH: width, _LAST: cells - 1}
    return long.select(*keys, *[part.alias(f"{HELPER}{name}") for name, part in parts.items()])


def cell(instant: Column) -> Column:
    """The number of the cell; 0 for a key that is not among the long histories, and before its first cell."""
    number = F.call_function("div", instant - helper(_START), helper(_WIDTH))
    return F.coalesce(F.greatest(F.least(number, helper(_LAST)), F.lit(0).cast("bigint")), F.lit(0).cast("bigint"))


def _answers(items: DataFrame, *, step: AsOf) -> DataFrame:
    """The items as answers: from `__wide_from` to before `__wide_next` one is it, its taken columns settled."""
    by_key = Window.partitionBy(*frames.key_names(step.on)).orderBy(helper("from"))
    so_far = by_key.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    best = items.withColumns(
        {f"{HELPER}next": F.lead(helper("from")).over(by_key), f"{HELPER}best": _best(items, step=step, so_far=so_far)}
    )
    # Of items with one `from` only the last has seen all of them.
    last = best.where(helper("next").isNull() | (helper("from") < helper("next")))
    here = [helper("from").alias(f"{HELPER}{name}") for name in ("time", "known")]
    kept = [*map(F.col, frames.key_names(step.on)), helper("from"), helper("next"), *here]
    return last.select(*kept, helper("best").alias(f"{HELPER}take"))


def _best(items: DataFrame, *, step: AsOf, so_far: WindowSpec) -> Column:
    """The taken values of the greatest (time, known_at, taken columns) so far."""
    kind = items.schema[f"{HELPER}take"].dataType
    fields = kind.fields if isinstance(kind, StructType) else []
    order = [helper("time").alias("time"), helper("known").alias("known"), helper("take").alias("take")]
    if not any(holds_floats(field.dataType) for field in fields):
        return F.max(F.struct(*order)).over(so_far)["take"]
    values = []
    for field in fields:
        # Rows that tie can still differ in the sign of a zero: then each column's 0.0 wins for itself.
        value = helper("take")[field.name]
        zero = zero_rank(value, given=field.dataType) if holds_floats(field.dataType) else F.lit(0)
        signed = F.struct(*order, zero.alias("zero"), value.alias("value"))
        values.append(F.max(signed).over(so_far)["value"].alias(field.name))
    return F.struct(*values)
