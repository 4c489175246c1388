"""The sign of zero: -0.0 and 0.0 compare equal, and where they tie the result is 0.0."""

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType


def holds_floats(given: DataType) -> bool:
    """True if equal values of the type can differ in the sign of a zero."""
    text = given.simpleString()
    return "float" in text or "double" in text


def is_plus_zero(value: Column) -> Column:
    # The text is the only function that tells the two apart: hashes and comparisons see one zero.
    return (value == 0) & (value.cast("string") != "-0.0")


def zero_rank(value: Column, *, given: DataType) -> Column:
    """Greater for 0.0 than for -0.0, else the same for equal values; never null for an atomic type."""
    if given.simpleString() in ("float", "double"):
        return F.when((value == 0) & ~is_plus_zero(value), 0).otherwise(1)
    return value.cast("string")
