"""How a call is written where that depends on its arguments: safe where Spark's own form is not."""

from collections.abc import Callable

from spark_scoring.spec.sql_numbers import INTEGERS
from spark_scoring.spec.sql_texts import parsed_text
from spark_scoring.spec.sql_typed import Typed, negated

Args = tuple[Typed, ...]
LATEST_S = (2**63 - 1) // 10**6
Form = Callable[[Args], str | None]


def _abs(args: Args) -> str | None:
    if args[0].type in ("float", "double"):
        return None
    return f"if({args[0].sql} < 0, {negated(args[0]).sql}, {args[0].sql})"


def _floor(name: str) -> Form:
    def form(args: Args) -> str | None:
        value = args[0]
        if value.type in INTEGERS:
            return f"cast({value.sql} as bigint)"
        if value.type not in ("float", "double"):
            return None
        # Spark gives 0 for NaN, and the ends of bigint for what is beyond them
        return f"if({value.sql} between -9223372036854775808D and 9223372036854774784D, {name}({value.sql}), null)"

    return form


def _round(args: Args) -> str | None:
    return args[0].sql if args[0].type in INTEGERS else None


def _pmod(args: Args) -> str:
    value, modulus = args
    safe = f"pmod({value.sql}, nullif({modulus.sql}, 0))"
    if modulus.type not in INTEGERS or (modulus.literal and not modulus.literal.startswith("-")):
        return safe
    # Spark adds the modulus to a negative rest; below zero that changes nothing, and overflows
    return f"if({modulus.sql} < 0, try_mod({value.sql}, {modulus.sql}), {safe})"


def moved(date: Typed, sign: str, days: Typed) -> str:
    """A date some days later ('+') or earlier ('-'); null beyond the days that a date has, where Spark begins again."""
    return f"date_from_unix_date({'try_add' if sign == '+' else 'try_subtract'}({_day(date)}, {days.sql}))"


def instant_of(seconds: Typed) -> str:
    """The instant of a number of seconds since 1970; null beyond a bigint of microseconds, where Spark begins again."""
    cast = f"try_cast({seconds.sql} as timestamp)"
    if seconds.type in INTEGERS[:3]:
        return cast
    return f"if({seconds.sql} between {-LATEST_S} and {LATEST_S}, {cast}, null)"


def _day(value: Typed) -> str:
    return f"unix_date({value.sql if value.type == 'date' else f'try_cast({value.sql} as date)'})"


def _datediff(args: Args) -> str:
    return f"try_subtract({_day(args[0])}, {_day(args[1])})"


def _last_day(args: Args) -> str:
    return f"if({_day(args[0])} <= {2**31 - 1 - 31}, last_day({args[0].sql}), null)"


def _trunc(args: Args) -> str:
    return f"if({_day(args[0])} >= {-(2**31) + 366}, trunc({args[0].sql}, {args[1].sql}), null)"


def _element_at(args: Args) -> str | None:
    return f"try_element_at({args[0].sql}, {args[1].sql})" if args[0].family == "map" else None


def _to_date(args: Args) -> str:
    return f"try_to_date({parsed_text(args[0].sql, format=args[1].text or '')}, {args[1].sql})"


def _to_timestamp(args: Args) -> str:
    return f"try_to_timestamp({parsed_text(args[0].sql, format=args[1].text or '')}, {args[1].sql})"


FORMS: dict[str, Form] = {
    "abs": _abs,
    "floor": _floor("floor"),
    **dict.fromkeys(("ceil", "ceiling"), _floor("ceil")),
    **dict.fromkeys(("round", "bround"), _round),
    "pmod": _pmod,
    "date_add": lambda args: moved(args[0], "+", args[1]),
    "date_sub": lambda args: moved(args[0], "-", args[1]),
    **dict.fromkeys(("datediff", "date_diff"), _datediff),
    "last_day": _last_day,
    "trunc": _trunc,
    **dict.fromkeys(("element_at", "try_element_at"), _element_at),
    **dict.fromkeys(("to_date", "try_to_date"), _to_date),
    **dict.fromkeys(("to_timestamp", "try_to_timestamp"), _to_timestamp),
}
