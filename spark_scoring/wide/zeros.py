"""The sign of zero: -0.0 and 0.0 compare equal, and where they tie the result is 0.0."""

from pyspark.sql.types import DataType


def holds_floats(given: DataType) -> bool:
    """True if equal values of the type can differ in the sign of a zero."""
    text = given.simpleString()
    return "float" in text or "double" in text


def zero_rank(value: str, *, given: DataType) -> str:
    """Greater for 0.0 than for -0.0, else the same for equal values; never null for an atomic type."""
    if given.simpleString() in ("float", "double"):
        # the text is the only function that tells the two apart: hashes and comparisons see one zero
        return f"case when {value} = 0 and cast({value} as string) = '-0.0' then 0 else 1 end"
    return f"cast({value} as string)"
