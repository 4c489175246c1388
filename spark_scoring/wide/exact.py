"""Exact sums of integers and decimals: no order and no running total decides an overflow."""

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ByteType, DataType, DecimalType, IntegerType, LongType, ShortType

WHOLE = (ByteType, ShortType, IntegerType, LongType)

# An array has fewer than 2^31 < 10^10 elements: that many more digits hold any sum of them.
_MORE_DIGITS = 10
# Spark widens a sum by one digit and cuts the scale above 38: 27 + 10 + 1 is the most that stays exact.
_DIRECT_DIGITS = 27
_LIMB = 9


def exact_sum(values: Column, *, given: DataType) -> Column:
    """The sum of an array without nulls, as a type that holds it or as text such as `123E-2`; 0 if empty."""
    decimal = given if isinstance(given, DecimalType) else DecimalType(19, 0)
    if decimal.precision > _DIRECT_DIGITS:
        return _sum_in_limbs(values, given=decimal)
    total = DecimalType(decimal.precision + _MORE_DIGITS, decimal.scale)
    return F.aggregate(values, F.lit(0).cast(total), lambda sum_, value: (sum_ + value.cast(decimal)).cast(total))


def _sum_in_limbs(values: Column, *, given: DecimalType) -> Column:
    """Sum of decimals of up to 38 digits: limbs of nine digits are summed in bigints, then carried once."""
    zeros = F.struct(*[F.lit(0).cast("bigint").alias(f"l{i}") for i in range(5)])

    def add(sums: Column, value: Column) -> Column:
        limbs = _limbs(value, scale=given.scale)
        return F.struct(*[(sums[f"l{i}"] + limb).alias(f"l{i}") for i, limb in enumerate(limbs)])

    return F.aggregate(values, zeros, add, lambda sums: _text(sums, scale=given.scale))


def _limbs(value: Column, *, scale: int) -> list[Column]:
    """The value's digits in groups of nine, the lowest first, all with the value's sign."""
    low = [value % _unit((i + 1) * _LIMB, scale=scale) for i in range(4)]
    return [F.call_function("div", part, _unit(i * _LIMB, scale=scale)) for i, part in enumerate([*low, value])]


def _unit(digits: int, *, scale: int) -> Column:
    """10^(digits - scale) as a decimal."""
    if digits >= scale:
        return F.lit("1" + "0" * (digits - scale)).cast(DecimalType(digits - scale + 1, 0))
    return F.lit("0." + "0" * (scale - digits - 1) + "1").cast(DecimalType(scale - digits, scale - digits))


def _text(sums: Column, *, scale: int) -> Column:
    """The carried sum as text: an upper part, then 27 digits, both of one sign."""
    limb = [sums[f"l{i}"].cast(DecimalType(19, 0)) for i in range(5)]
    step = [F.lit(10**k).cast(DecimalType(k + 1, 0)) for k in (0, 9, 18)]
    whole = DecimalType(38, 0)
    lower = (limb[0].cast(whole) + (limb[1] * step[1]).cast(whole) + (limb[2] * step[2]).cast(whole)).cast(whole)
    base = F.lit("1" + "0" * 27).cast(DecimalType(28, 0))
    upper = (limb[3].cast(whole) + (limb[4] * step[1]).cast(whole) + F.call_function("div", lower, base)).cast(whole)
    rest = (lower % base).cast(whole)
    borrow = F.when((upper > 0) & (rest < 0), 1).when((upper < 0) & (rest > 0), -1).otherwise(0)
    upper, rest = (upper - borrow).cast(whole), (rest + borrow * base).cast(whole)
    sign = F.when((upper < 0) | (rest < 0), "-").otherwise("")
    digits = F.concat(F.abs(upper).cast("string"), F.lpad(F.abs(rest).cast("string"), 27, "0"))
    return F.concat(sign, digits, F.lit(f"E-{scale}"))
