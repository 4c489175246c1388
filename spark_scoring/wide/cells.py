"""Keys with a long history, cut into stretches of time, so that no row ever holds all of it."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_scoring.wide.frames import HELPER, helper

CELL_ROWS = 4096
_START, _WIDTH, _LAST = "cell_start", "cell_width", "cell_last"


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
