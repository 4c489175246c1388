"""The step `lookup`: the one table row with the row's key."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_scoring.spec.wide import Lookup
from spark_scoring.wide.frames import (
    HELPER,
    REJECTED,
    Given,
    all_of,
    column,
    helper,
    kept,
    key_columns,
    keys_known,
    keys_match,
    keys_of_rows,
    reason,
    with_added,
)


def add_lookup(frame: DataFrame, *, step: Lookup, table: Given) -> DataFrame:
    """The frame with the taken columns, null where no row or more than one row of the table has the key."""
    there = kept([table], _one_per_key(table, step=step), what=step)
    joined = frame.join(there, keys_match(step.on), "left")
    only = helper("count") == 1
    added = [F.when(only, helper(f"take_{i}")).alias(new) for i, (new, _) in enumerate(step.take)]
    return with_added(joined, before=frame.columns, added=added, rejected=_rejected(step))


def _one_per_key(table: Given, *, step: Lookup) -> DataFrame:
    """Each key with the number of its rows: a key that stands there twice must not double the rows."""
    taken = [F.first(column(source)).alias(f"{HELPER}take_{i}") for i, (_, source) in enumerate(step.take)]
    there = table.frame.where(all_of([keys_known(step.on), *keys_of_rows(table, on=step.on)]))
    keyed = there.groupBy(*key_columns(step.on))
    return keyed.agg(F.count(F.lit(1)).alias(f"{HELPER}count"), *taken)


def _rejected(step: Lookup) -> Column:
    keys = ", ".join(left for left, _ in step.on)
    twice = reason(f"LOOKUP_AMBIGUOUS:{step.table}", detail=f"{keys}: more than one row of {step.table} has this key")
    found = F.when(helper("count") > 1, twice)
    if step.required:
        miss = reason(f"LOOKUP_MISS:{step.table}", detail=f"{keys}: no row of {step.table} has this key")
        found = found.when(helper("count").isNull(), miss)
    return F.coalesce(F.col(REJECTED), found)
