"""The step `as_of`: the last table row at the row's time, as a step function of the instant.

Each key's table rows are turned into intervals in which one of them is the answer. The intervals of a key do
not overlap, so a row meets at most one: a left join, legal on a stream, without a sort of the rows.
"""

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from spark_scoring.spec.wide import AsOf
from spark_scoring.wide import frames
from spark_scoring.wide.frames import HELPER, REJECTED, Given, helper
from spark_scoring.wide.reach import instants, reachable
from spark_scoring.wide.zeros import holds_floats, zero_rank


def add_as_of(frame: DataFrame, *, step: AsOf, table: Given) -> DataFrame:
    """The frame with the taken columns, null where no table row is young enough."""
    age_us = None if step.max_age is None else frames.length_us(step.max_age)
    width, at = frames.bucket_width(age_us, rows=table.rows), helper("at")
    answers = _in_buckets(_intervals(table, step=step, age_us=age_us), width=width)
    same = frames.keys_match(step.on) & (frames.bucket(at, width=width) == helper("bucket"))
    timed = frame.withColumn(f"{HELPER}at", frames.instant(table.rows))
    joined = timed.join(answers, same & (helper("from") <= at) & (at < helper("to")), "left")
    added = [helper(f"take_{i}").alias(new) for i, (new, _) in enumerate(step.take)]
    return frames.with_added(joined, before=frame.columns, added=added, rejected=F.col(REJECTED))


def _intervals(table: Given, *, step: AsOf, age_us: int | None) -> DataFrame:
    """At `__wide_from` <= instant < `__wide_to` the values `__wide_take_<i>` are the answer."""
    seen = _eligible(table, step=step, age_us=age_us)
    keys = [helper(f"key_{i}") for i in range(len(step.on))]
    by_key = Window.partitionBy(*keys).orderBy(helper("from"))
    so_far = by_key.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    following = F.lead(helper("from")).over(by_key).alias(f"{HELPER}next")
    time = F.max(helper("time")).over(so_far).alias(f"{HELPER}time")
    best = seen.select(*keys, helper("from"), following, time, *_best_values(seen, step=step, so_far=so_far))
    # The best row by time is also the last to grow too old: when it does, no other is left.
    ends = [helper("next"), F.lit(frames.bounds_us(table.rows)[1])]
    ends += [] if age_us is None else [F.try_add(helper("time"), F.lit(age_us + 1))]
    # Of rows with one `from` only the last has seen all of them: the others end where they begin.
    return best.withColumn(f"{HELPER}to", F.least(*ends)).where(helper("from") < helper("to"))


def _eligible(table: Given, *, step: AsOf, age_us: int | None) -> DataFrame:
    """The table rows in reach; `__wide_from`: the first instant at which one can be the answer."""
    seen = reachable(table, on=step.on, back_us=age_us)
    taken = [frames.column(source).alias(f"{HELPER}take_{i}") for i, (_, source) in enumerate(step.take)]
    seen = seen.select(*frames.key_columns(step.on), *instants(table.contract), *taken)
    # `strict` is about the time alone: what becomes known at the row's instant may be used.
    earliest = F.try_add(helper("time"), F.lit(1)) if step.strict else helper("time")
    return seen.withColumn(f"{HELPER}from", F.greatest(earliest, helper("known")))


def _best_values(seen: DataFrame, *, step: AsOf, so_far: WindowSpec) -> list[Column]:
    """The taken values of the greatest (time, known_at, taken columns) so far."""
    names = [f"{HELPER}take_{i}" for i in range(len(step.take))]
    order = [helper("time"), helper("known"), *map(F.col, names)]
    values = []
    for name in names:
        given = seen.schema[name].dataType
        # Rows that tie can still differ in the sign of a zero: then each column's 0.0 wins for itself.
        signed = [zero_rank(F.col(name), given=given)] if holds_floats(given) else []
        parts = [part.alias(f"part_{i}") for i, part in enumerate([*order, *signed, F.col(name)])]
        values.append(F.max(F.struct(*parts)).over(so_far)[f"part_{len(parts) - 1}"].alias(name))
    return values


def _in_buckets(answers: DataFrame, *, width: int | None) -> DataFrame:
    """Each interval once for each bucket it touches: two at most, as no interval is longer than one."""
    touched = [frames.bucket(end, width=width) for end in (helper("from"), helper("to") - 1)]
    return answers.withColumn(f"{HELPER}bucket", F.explode(F.array_distinct(F.array(*touched))))
