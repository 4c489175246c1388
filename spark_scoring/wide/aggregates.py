"""The aggregates of a window: each one a function from the window's values to a column.

A float sum goes from left to right in the window's order, in double precision, beginning with 0.0; a `float`
sum is rounded once at its end. Sums of integers and decimals are exact. mean = sum / count, and stddev takes
that mean and then the squared deviations from left to right.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DecimalType

from spark_scoring.wide.exact import WHOLE, exact_sum
from spark_scoring.wide.zeros import is_plus_zero


@dataclass(frozen=True, kw_only=True)
class Values:
    """What an aggregate sees of one window: arrays in the window's order, null where there is no window.

    `rows`: the items that `where` lets through; `values`: their values of `field`, without the nulls.
    """

    rows: Column
    values: Column
    field: str
    type: DataType


def _size(array: Column) -> Column:
    return F.coalesce(F.array_size(array), F.lit(0))


def count(given: Values) -> Column:
    return _size(given.values).cast("bigint")


def count_distinct(given: Values) -> Column:
    # `array_distinct` sees one NaN and one zero, as comparisons do.
    return _size(F.array_distinct(given.values)).cast("bigint")


def total(given: Values) -> Column:
    result: DataType | str
    if _is_float(given.type):
        sum_, result = _float_sum(given), given.type
    elif isinstance(given.type, DecimalType):
        sum_, result = exact_sum(given.values, given=given.type), DecimalType(38, given.type.scale)
    else:
        sum_, result = exact_sum(given.values, given=given.type), "bigint"
    return F.when(_size(given.values) > 0, sum_.try_cast(result))


def mean(given: Values) -> Column:
    sum_ = _float_sum(given) if _is_float(given.type) else exact_sum(given.values, given=given.type)
    return F.try_divide(sum_.cast("double"), _size(given.values).cast("double"))


def stddev(given: Values) -> Column:
    # The mean rides in the accumulator: a lambda's body is computed again for each element.
    start = F.struct(mean(given).alias("mean"), F.lit(0.0).alias("squares"))

    def add(so_far: Column, value: Column) -> Column:
        deviation = value.cast("double") - so_far["mean"]
        return F.struct(so_far["mean"].alias("mean"), (so_far["squares"] + deviation * deviation).alias("squares"))

    squares = F.aggregate(given.values, start, add, lambda so_far: so_far["squares"])
    degrees = _size(given.values) - 1
    return F.when(degrees > 0, F.sqrt(F.try_divide(squares, degrees.cast("double"))))


def least(given: Values) -> Column:
    return _settled(F.array_min(given.values), given=given)


def greatest(given: Values) -> Column:
    return _settled(F.array_max(given.values), given=given)


def first(given: Values) -> Column:
    return _at_edge(given, index=1)


def last(given: Values) -> Column:
    return _at_edge(given, index=-1)


def _float_sum(given: Values) -> Column:
    return F.aggregate(given.values, F.lit(0.0), lambda sum_, value: sum_ + value.cast("double"))


def _settled(value: Column, *, given: Values) -> Column:
    """The least or greatest value; 0.0 where -0.0 and 0.0 tie."""
    if not _is_float(given.type):
        return value
    tie = (value == 0) & F.exists(given.values, is_plus_zero)
    return F.when(tie, F.lit(0).cast(given.type)).otherwise(value)


def _at_edge(given: Values, *, index: int) -> Column:
    """The value of the first or last item; 0.0 for -0.0 where an item of the same place has that."""
    edge = F.try_element_at(given.rows, F.lit(index))
    value = edge[given.field]
    if not _is_float(given.type):
        return value
    tie = F.exists(given.rows, lambda row: (row["order"] == edge["order"]) & is_plus_zero(row[given.field]))
    return F.when((value == 0) & tie, F.lit(0).cast(given.type)).otherwise(value)


def _is_float(given: DataType) -> bool:
    return given.simpleString() in ("float", "double")


AGGREGATES: dict[str, Callable[[Values], Column]] = {
    "count": count,
    "count_distinct": count_distinct,
    "sum": total,
    "mean": mean,
    "min": least,
    "max": greatest,
    "stddev": stddev,
    "first": first,
    "last": last,
}

_NUMERIC_ONLY = ("sum", "mean", "stddev")


def takes(function: str, *, given: DataType) -> bool:
    """True if the aggregate is defined for values of the type."""
    return function not in _NUMERIC_ONLY or isinstance(given, (DecimalType, *WHOLE)) or _is_float(given)
