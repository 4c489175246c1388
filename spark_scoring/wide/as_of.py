"""The step `as_of`: the last table row at the row's time, found in a sorted index of its key.

The index of a key, or of a key and a stretch of time, is one row of arrays: the instants from which each answer
holds, and the answers. A row meets at most one index: a left join, legal on a stream, without a sort of the rows.
"""

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from spark_scoring.jvm.functions import call
from spark_scoring.spec.wide import AsOf
from spark_scoring.wide import frames
from spark_scoring.wide.cells import cell, long_histories
from spark_scoring.wide.frames import HELPER, REJECTED, Given, helper
from spark_scoring.wide.reach import instants, reachable
from spark_scoring.wide.strategy import BROADCAST
from spark_scoring.wide.zeros import holds_floats, zero_rank


def add_as_of(frame: DataFrame, *, step: AsOf, table: Given) -> DataFrame:
    """The frame with the taken columns, null where no table row is young enough."""
    at = frames.instant(table.rows)
    timed = frame.withColumn(f"{HELPER}at", at)
    if step.max_age is None and table.strategy.name != BROADCAST:
        joined = _by_cell(timed, step=step, table=table)
    else:
        joined = _by_bucket(timed, step=step, table=table)
    position = call("as_of_position", "", helper("index"), helper("at"))
    found = joined.withColumn(f"{HELPER}position", position)
    added = [F.get(helper("index")[f"take_{i}"], helper("position")).alias(new) for i, (new, _) in enumerate(step.take)]
    return frames.with_added(found, before=frame.columns, added=added, rejected=F.col(REJECTED))


def _by_bucket(timed: DataFrame, *, step: AsOf, table: Given) -> DataFrame:
    """The rows with the index of their key and bucket: what is no older than `max_age` lies in two at most."""
    age_us = None if step.max_age is None else frames.length_us(step.max_age)
    width = frames.bucket_width(age_us, table=table)
    items = _items(table, step=step, age_us=age_us)
    if width is not None:
        # what is known too late to be young enough is never an answer
        items = items.where(helper("from") <= F.try_add(helper("time"), F.lit(age_us)))
    ends = [helper("from"), F.try_add(helper("time"), F.lit(age_us or 0))]
    index = _index(frames.in_buckets(items, ends=ends, width=width), step=step, age_us=age_us)
    same = frames.keys_match(step.on) & (frames.bucket(helper("at"), width=width) == helper("bucket"))
    return timed.join(table.strategy.hinted(index), same, "left")


def _items(table: Given, *, step: AsOf, age_us: int | None) -> DataFrame:
    """The table rows in reach; `__wide_from`: the first instant at which one can be the answer."""
    seen = reachable(table, on=step.on, back_us=age_us)
    taken = [frames.column(source).alias(f"take_{i}") for i, (_, source) in enumerate(step.take)]
    # Rows that tie can still differ in the sign of a zero: then each column's 0.0 wins for itself.
    given = [seen.schema[source].dataType for _, source in step.take]
    zeros = [
        (zero_rank(frames.column(source), given=kind) if holds_floats(kind) else F.lit(0)).alias(f"zero_{i}")
        for i, ((_, source), kind) in enumerate(zip(step.take, given, strict=True))
    ]
    parts = [F.struct(*taken).alias(f"{HELPER}take"), F.struct(*zeros).alias(f"{HELPER}zeros")]
    seen = seen.select(*frames.key_columns(step.on), *instants(table.contract), *parts)
    # `strict` is about the time alone: what becomes known at the row's instant may be used.
    earliest = F.try_add(helper("time"), F.lit(1)) if step.strict else helper("time")
    return seen.withColumn(f"{HELPER}from", F.greatest(earliest, helper("known")))


def _index(items: DataFrame, *, step: AsOf, age_us: int | None) -> DataFrame:
    """`__wide_index`: the answers of one key and bucket."""
    item = F.struct(*[helper(part).alias(part) for part in ("from", "time", "known", "take", "zeros")])
    index = call("as_of_index", str(-1 if age_us is None else age_us), F.collect_list(item))
    return items.groupBy(*frames.key_names(step.on), f"{HELPER}bucket").agg(index.alias(f"{HELPER}index"))


def _by_cell(timed: DataFrame, *, step: AsOf, table: Given) -> DataFrame:
    """The rows with the index of their key and cell. A long history has many cells, and an answer lies in each
    that it reaches: nothing but the next answer ends it."""
    keys = frames.key_names(step.on)
    items = _items(table, step=step, age_us=None)
    long = F.broadcast(long_histories(items, keys=keys, at="from"))
    answers = _answers(items, step=step).join(long, keys, "left")
    last = F.when(helper("next").isNull(), F.coalesce(helper("cell_last"), F.lit(0)))
    touched = F.sequence(cell(helper("from")), F.coalesce(last, cell(helper("next") - 1)))
    index = _index(answers.withColumn(f"{HELPER}bucket", F.explode(touched)), step=step, age_us=None)
    placed = timed.join(long, frames.keys_match(step.on), "left").withColumn(f"{HELPER}cell", cell(helper("at")))
    found = frames.keys_match(step.on) & (helper("cell") == helper("bucket"))
    return placed.drop(*keys).join(table.strategy.hinted(index), found, "left")


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
    return last.select(*kept, helper("best").alias(f"{HELPER}take"), helper("zeros"))


def _best(items: DataFrame, *, step: AsOf, so_far: WindowSpec) -> Column:
    """The taken values of the greatest (time, known_at, taken columns) so far."""
    kind = items.schema[f"{HELPER}take"].dataType
    fields = kind.fields if isinstance(kind, StructType) else []
    order = [helper("time").alias("time"), helper("known").alias("known"), helper("take").alias("take")]
    if not any(holds_floats(field.dataType) for field in fields):
        return F.max(F.struct(*order)).over(so_far)["take"]
    values = []
    for i, field in enumerate(fields):
        signed = F.struct(*order, helper("zeros")[f"zero_{i}"].alias("zero"), helper("take")[field.name].alias("value"))
        values.append(F.max(signed).over(so_far)["value"].alias(field.name))
    return F.struct(*values)
