"""Columns of two frames compared to the last bit, structs field by field."""

from collections.abc import Iterable

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from spark_scoring.spec.sql_tokens import quote
from spark_scoring.wide.frames import column

EXACT_JSON = {
    "ignoreNullFields": "false",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}


def differs(names: Iterable[str], *, then: T.StructType, now: T.StructType) -> dict[str, Column]:
    """For each name that both frames have, whether its value differs; they are aliased `then` and `now`.

    Fields of structs, at any depth, are compared by their names without case: one that is absent on one side, as a
    later commit may have merged it into the table, equals null on the other.
    """
    before, after = ({field.name.lower(): field.dataType for field in schema} for schema in (then, now))
    both = [name for name in names if name.lower() in before and name.lower() in after]
    return {name: _differs(name, before[name.lower()], after[name.lower()]) for name in both}


def _differs(name: str, then: T.DataType, now: T.DataType) -> Column:
    shape = _merged(then, now)
    return ~bits(_shaped(f"then.{column(name)}", then, shape)).eqNullSafe(
        bits(_shaped(f"now.{column(name)}", now, shape))
    )


def bits(value: str) -> Column:
    """An expression's value as text that is equal only where every bit is."""
    # text tells -0.0 from 0.0, and every double from its neighbours
    return F.to_json(F.struct(F.expr(value).alias("value")), EXACT_JSON)


def _merged(left: T.DataType, right: T.DataType) -> T.DataType:
    """The type with the fields of both."""
    if isinstance(left, T.StructType) and isinstance(right, T.StructType):
        others = {field.name.lower(): field for field in right}
        known = [(field, others.pop(field.name.lower(), field)) for field in left]
        fields = [T.StructField(one.name, _merged(one.dataType, other.dataType)) for one, other in known]
        return T.StructType([*fields, *others.values()])
    if isinstance(left, T.ArrayType) and isinstance(right, T.ArrayType):
        return T.ArrayType(_merged(left.elementType, right.elementType))
    if isinstance(left, T.MapType) and isinstance(right, T.MapType):
        return T.MapType(left.keyType, _merged(left.valueType, right.valueType))
    return left


def _shaped(value: str, given: T.DataType, shape: T.DataType) -> str:
    """The value with the fields of the shape, in its order; what it lacks is null."""
    if given.simpleString() == shape.simpleString():
        return value
    if isinstance(given, T.StructType) and isinstance(shape, T.StructType):
        return f"if({value} is null, null, named_struct({', '.join(_fields(value, given, shape))}))"
    if isinstance(given, T.ArrayType) and isinstance(shape, T.ArrayType):
        return f"transform({value}, one -> {_shaped('one', given.elementType, shape.elementType)})"
    if isinstance(given, T.MapType) and isinstance(shape, T.MapType):
        return f"transform_values({value}, (key, one) -> {_shaped('one', given.valueType, shape.valueType)})"
    return value


def _fields(value: str, given: T.StructType, shape: T.StructType) -> Iterable[str]:
    there = {field.name.lower(): field for field in given}
    for field in shape:
        own = there.get(field.name.lower())
        yield quote(field.name)
        yield "null" if own is None else _shaped(f"{value}.{column(own.name)}", own.dataType, field.dataType)
