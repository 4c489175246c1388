"""Calls of functions: their arguments checked, written in a form that cannot raise."""

import re

from spark_scoring.errors import ConfigError, unknown_name, unsafe_sql, wrong_arguments
from spark_scoring.spec.sql_forms import FORMS
from spark_scoring.spec.sql_functions import FUNCTIONS, UNSAFE, Function
from spark_scoring.spec.sql_numbers import INTEGERS, decimal, family, shape
from spark_scoring.spec.sql_typed import Typed, common, comparable, untyped_null
from spark_scoring.spec.zones import ZONES

UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond")
DATE_UNITS = ("year", "quarter", "month", "week")
FAMILIES = {
    "number": ("number",), "double": ("number",), "string": ("string",), "boolean": ("boolean",),
    "date": ("date", "timestamp"),
    "day": ("date",), "timestamp": ("timestamp",), "array": ("array",), "map": ("map",),
    "collection": ("array", "map"), "scalar": ("string", "number", "boolean", "date", "timestamp"),
    "hashed": ("string", "number", "boolean", "date", "timestamp", "binary", "array", "struct"),
}  # fmt: skip
INT_TYPES = INTEGERS[:3]
LITERALS = {
    "unit": f"one of the literal texts {', '.join(UNITS)}",
    "date_unit": f"one of the literal texts {', '.join(DATE_UNITS)}",
    "zone": "a literal text with a time zone that Java 17 knows, as in 'America/New_York'",
    "format": "a literal text of yyyy, MM, dd, HH, mm, ss, S to SSSSSSSSS and signs between, as in 'yyyy-MM-dd HH:mm'",
    "scale": "a literal whole number from 0 to 30",
    "count": "a literal whole number from 0 to 1000",
    "bits": "one of the literals 0, 224, 256, 384, 512",
}
OF_THE_FIRST = ("first", "element", "value", "keys", "values", "floor", "round", "pmod")
DO_INSTEAD = {
    "it aggregates rows": "Use a window step",
    "it runs Java code": "Leave it out",
    "it reads the clock": "Use the row's own event time",
    "it gives another value each time": "Use xxhash64(…) of a key",
}
# Spark knows no dddd, and MMMM is the name of a month
FORMAT = re.compile(r"(?:(?:yyyy(?!y)|MM(?!M)|dd(?!d)|HH(?!H)|mm(?!m)|ss(?!s)|S{1,9}(?!S))(?:[-/:., ]|'T'|$)?)+")


def _literal_fits(kind: str, value: Typed) -> bool:
    if kind in ("scale", "count", "bits"):
        if value.literal is None or value.type != "int":
            return False
        number = int(value.literal)
        return number in {"scale": range(31), "count": range(1001), "bits": (0, 224, 256, 384, 512)}[kind]
    if value.text is None:
        return False
    if kind == "format":
        return bool(FORMAT.fullmatch(value.text))
    known = {"unit": UNITS, "date_unit": DATE_UNITS, "zone": ZONES}[kind]
    return (value.text if kind == "zone" else value.text.lower()) in known


def _fits(kind: str, value: Typed) -> bool:
    if value.type in ("?", "null") or kind in ("any", "same", "element", "key"):
        return True
    if kind == "int":
        return value.type in INT_TYPES
    if kind == "modulus":
        return value.type in (*INTEGERS, "float", "double")
    if kind == "texts":
        return value.type == "array<string>"
    return value.family in FAMILIES[kind]


def _expected(kind: str) -> str:
    return (
        LITERALS.get(kind)
        or {"int": "an int", "modulus": "an integer or a double", "texts": "an array<string>"}.get(kind)
        or " or ".join(FAMILIES[kind])
    )


def _check(name: str, function: Function, args: tuple[Typed, ...], *, where: str) -> None:
    most = function.most
    if len(args) < function.least or (most is not None and len(args) > most):
        count = str(function.least) if most == function.least else f"{function.least} to {most or 'many'}"
        raise wrong_arguments(where, function=name, given=f"{len(args)} arguments", expected=f"{count} arguments")
    for index, value in enumerate(args):
        kind = function.parameter(index)
        if not (_literal_fits(kind, value) if kind in LITERALS else _fits(kind, value)):
            given = f"{value.sql} ({value.type}) as argument {index + 1}"
            raise wrong_arguments(where, function=name, given=given, expected=_expected(kind))


def _members(function: Function, args: tuple[Typed, ...]) -> tuple[Typed, ...]:
    return tuple(value for index, value in enumerate(args) if function.parameter(index) == "same")


def inner_types(name: str) -> tuple[str, ...]:
    """The types inside array<…> or map<…>, split at the outermost commas; ('?',) if not known."""
    if family(name) not in ("array", "map") or "<" not in name:
        return ("?", "?")
    parts, depth = [""], 0
    for letter in name[name.index("<") + 1 : -1]:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return tuple(parts)


def _floor(value: Typed) -> str:
    exact = shape(value.type)
    if value.type in ("?", "null"):
        return "?"
    if exact is None or value.type in INTEGERS:
        return "bigint"
    return value.type if exact[1] == 0 else decimal(min(exact[0] - exact[1] + 1, 38), 0)


def _round(value: Typed, scale: int) -> str:
    exact = shape(value.type)
    if exact is None or value.type in INTEGERS:
        return value.type
    kept = min(exact[1], scale)
    return decimal(min(exact[0] - exact[1] + 1 + kept, 38), kept)


def _result(function: Function, args: tuple[Typed, ...], *, name: str, where: str) -> str:
    first = args[0]
    if function.result in ("same", "array"):
        chosen = common(_members(function, args), word=name, where=where)
        return chosen if function.result == "same" else f"array<{chosen}>"
    if first.type == "null" and function.result in OF_THE_FIRST:
        raise untyped_null(where, word=name)
    if function.result == "round":
        return _round(first, int(args[1].literal or 0) if len(args) > 1 else 0)
    if function.result == "pmod":
        return common(args, word=name, where=where)
    inner = inner_types(first.type)
    computed = {
        "first": first.type,
        "element": inner[0],
        "value": inner[-1],
        "keys": f"array<{inner[0]}>",
        "values": f"array<{inner[-1]}>",
        "floor": _floor(first),
    }
    return computed.get(function.result, function.result)


def _compared(name: str, function: Function, args: tuple[Typed, ...], *, where: str) -> None:
    """Arguments that Spark compares must be of one type."""
    if name == "nullif":
        comparable(args[0], args[1], word=name, where=where)
        common(args, word=name, where=where)
    if "element" in function.parameters or "key" in function.parameters:
        inside = Typed(sql=args[0].sql, type=inner_types(args[0].type)[0])
        if inside.type not in ("?", args[1].type):
            comparable(inside, args[1], word=name, where=where)
            common((inside, args[1]), word=name, where=where)


def _refuse(name: str, *, where: str) -> ConfigError:
    if name in UNSAFE:
        return unsafe_sql(
            where,
            given=f"{name}()",
            why=UNSAFE[name],
            do=DO_INSTEAD.get(UNSAFE[name], "Leave it out, or compute it in the package's Python feature code"),
        )
    return unknown_name(where, kind="function", given=name, known=FUNCTIONS)


def call_sql(name: str, args: tuple[Typed, ...], *, where: str) -> Typed:
    """A function call, safe, with its type.

    Raises: ConfigError for a function that is not allowed and for arguments it cannot take.
    """
    if name not in FUNCTIONS:
        raise _refuse(name, where=where)
    function = FUNCTIONS[name]
    if name in ("element_at", "try_element_at") and args and args[0].family == "map":
        function = Function(parameters=("map", "key"), result="value", template=None)
    _check(name, function, args, where=where)
    _compared(name, function, args, where=where)
    result = _result(function, args, name=name, where=where)
    sql = FORMS[name](args) if name in FORMS else None
    if sql is None:
        values = [
            _cast_double(value) if function.parameter(i) == "double" else value.sql for i, value in enumerate(args)
        ]
        sql = (function.template or f"{name}({', '.join(f'{{{i}}}' for i in range(len(args)))})").format(*values)
    return Typed(sql=sql, type=result)


def _cast_double(value: Typed) -> str:
    return value.sql if value.type == "double" else f"cast({value.sql} as double)"
