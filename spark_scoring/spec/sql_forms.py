"""How a call is written where that depends on its arguments: safe where Spark's own form is not."""

from collections.abc import Callable

from spark_scoring.spec.sql_numbers import INTEGERS
from spark_scoring.spec.sql_texts import parsed_text
from spark_scoring.spec.sql_typed import Typed, negated

Args = tuple[Typed, ...]


def _abs(args: Args) -> str | None:
    if args[0].type in ("float", "double"):
        return None
    return f"if({args[0].sql} < 0, {negated(args[0]).sql}, {args[0].sql})"


def _floor(args: Args) -> str | None:
    return f"cast({args[0].sql} as bigint)" if args[0].type in INTEGERS else None


def _round(args: Args) -> str | None:
    return args[0].sql if args[0].type in INTEGERS else None


def _pmod(args: Args) -> str:
    return f"pmod({args[0].sql}, nullif({args[1].sql}, 0))"


def _element_at(args: Args) -> str | None:
    return f"try_element_at({args[0].sql}, {args[1].sql})" if args[0].family == "map" else None


def _to_date(args: Args) -> str:
    return f"try_to_date({parsed_text(args[0].sql, format=args[1].text or '')}, {args[1].sql})"


def _to_timestamp(args: Args) -> str:
    return f"try_to_timestamp({parsed_text(args[0].sql, format=args[1].text or '')}, {args[1].sql})"


FORMS: dict[str, Callable[[Args], str | None]] = {
    "abs": _abs,
    **dict.fromkeys(("floor", "ceil", "ceiling"), _floor),
    **dict.fromkeys(("round", "bround"), _round),
    "pmod": _pmod,
    **dict.fromkeys(("element_at", "try_element_at"), _element_at),
    **dict.fromkeys(("to_date", "try_to_date"), _to_date),
    **dict.fromkeys(("to_timestamp", "try_to_timestamp"), _to_timestamp),
}
