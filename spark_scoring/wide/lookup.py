"""The step `lookup`: the one table row with the row's key."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_scoring.spec.wide import Lookup
from spark_scoring.wide.frames import (
    HELPER,
    REJECTED,
    Given,
    all_of,
    beside,
    column,
    helper,
    key_columns,
    key_names,
    key_pairs,
    keys_known,
    keys_of_rows,
    named,
    reason,
    with_added,
)
from spark_scoring.wide.strategy import in_one_task


def add_lookup(frame: DataFrame, *, step: Lookup, table: Given) -> DataFrame:
    """The frame with the taken columns, null where no row or more than one row of the table has the key."""
    joined = beside(frame, _one_per_key(table, step=step), tables=[table], on=key_pairs(step.on), what=step)
    only = f"{helper('count')} = 1"
    added = [named(f"if({only}, {helper(f'take_{i}')}, null)", new) for i, (new, _) in enumerate(step.take)]
    return with_added(joined, before=frame.columns, added=added, rejected=_rejected(step))


def _one_per_key(table: Given, *, step: Lookup) -> DataFrame:
    """Each key with the number of its rows: a key that stands there twice must not double the rows."""
    there = table.frame.where(all_of([keys_known(step.on), *keys_of_rows(table, on=step.on)]))
    taken = [f"{column(source)} as {HELPER}take_{i}" for i, (_, source) in enumerate(step.take)]
    rows = in_one_task(there.selectExpr(*key_columns(step.on), *taken), tables=[table.strategy])
    firsts = [f"first({HELPER}take_{i}) as {HELPER}take_{i}" for i in range(len(taken))]
    return rows.groupBy(*key_names(step.on)).agg(*map(F.expr, [f"count(1) as {HELPER}count", *firsts]))


def _rejected(step: Lookup) -> str:
    keys = ", ".join(left for left, _ in step.on)
    twice = reason(f"LOOKUP_AMBIGUOUS:{step.table}", detail=f"{keys}: more than one row of {step.table} has this key")
    cases = f"when {helper('count')} > 1 then {twice}"
    if step.required:
        miss = reason(f"LOOKUP_MISS:{step.table}", detail=f"{keys}: no row of {step.table} has this key")
        cases += f" when {helper('count')} is null then {miss}"
    return f"coalesce({REJECTED}, case {cases} end)"
