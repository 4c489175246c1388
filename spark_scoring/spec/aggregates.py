"""Aggregates of a window step: `mean(arr_delay) where carrier = 'AA'`."""

from dataclasses import dataclass
from difflib import get_close_matches

from spark_scoring.errors import ConfigError, bad_sql, bad_value, unknown_aggregate, wrong_arguments
from spark_scoring.spec.scope import Scope
from spark_scoring.spec.sql import Expression
from spark_scoring.spec.sql_numbers import family
from spark_scoring.spec.sql_tokens import Token, tokenize

AGGREGATES = ("count", "count_distinct", "sum", "mean", "min", "max", "stddev", "first", "last")
OTHER_WORDS = {
    "avg": "mean",
    "average": "mean",
    "std": "stddev",
    "stddev_samp": "stddev",
    "nunique": "count_distinct",
}
SHAPE = "<aggregate>(<expression>) with an optional 'where <condition>', as in 'mean(x) where y > 0'"
NUMERIC_ONLY = ("sum", "mean", "stddev")
UNORDERED = ("count", "first", "last")


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """One aggregate of a window; `count` without argument is `count(*)`."""

    function: str
    argument: Expression | None = None
    where: Expression | None = None

    @staticmethod
    def of(text: str) -> "Aggregate":
        """The aggregate in a text, over columns that are not known yet: a `WideTable` checks it against its own.

        Raises: ConfigError for what does not parse or is no aggregate.
        """
        return parse_aggregate(text, where="aggregate", table=Scope(owner="the table", open=True))


@dataclass(frozen=True, kw_only=True)
class _Call:
    function: str
    argument: str
    where: str | None


def _close(tokens: tuple[Token, ...]) -> int | None:
    """The index of the sign that closes the first parenthesis."""
    depth = 0
    for index, token in enumerate(tokens):
        if token.kind == "sign" and token.value in "()":
            depth += 1 if token.value == "(" else -1
            if depth == 0:
                return index
    return None


def _split(text: str, *, where: str) -> _Call:
    tokens = tokenize(text, where=where)
    if len(tokens) < 3 or tokens[0].kind != "name" or tokens[1].value != "(":
        raise bad_value(where, given=text, allowed=SHAPE)
    close = _close(tokens)
    if close is None:
        raise bad_sql(where, text=text, position=len(text), problem="a closing ')' is missing")
    argument, after = text[tokens[1].end : tokens[close].start].strip(), tokens[close + 1]
    if after.kind == "end":
        return _Call(function=tokens[0].value.lower(), argument=argument, where=None)
    if after.value.lower() != "where":
        raise bad_sql(where, text=text, position=after.start, problem="expected 'where' or the end")
    return _Call(function=tokens[0].value.lower(), argument=argument, where=text[after.end :].strip())


def _unknown(call: _Call, *, where: str) -> ConfigError:
    near = get_close_matches(call.function, (*AGGREGATES, *OTHER_WORDS), n=1, cutoff=0.5)
    nearest = f"{OTHER_WORDS.get(near[0], near[0])}({call.argument})" if near else None
    given = f"{call.function}({call.argument})"
    return unknown_aggregate(where, given=given, nearest=nearest, allowed=AGGREGATES)


def parse_aggregate(text: str, *, where: str, table: Scope) -> Aggregate:
    """The aggregate in a text, over the columns of the table."""
    call = _split(text, where=where)
    if call.function not in AGGREGATES:
        raise _unknown(call, where=where)
    condition = None if call.where is None else table.condition(call.where, where=where)
    if call.argument == "*" and call.function == "count":
        return Aggregate(function="count", where=condition)
    if call.argument in ("", "*"):
        raise bad_value(where, given=text, allowed=SHAPE)
    argument = table.expression(call.argument, where=where)
    _check_argument(call, argument, where=where)
    return Aggregate(function=call.function, argument=argument, where=condition)


def _check_argument(call: _Call, argument: Expression, *, where: str) -> None:
    kind = family(argument.type)
    if call.function in NUMERIC_ONLY:
        wanted, fits = "a number", kind == "number"
    elif "map<" in argument.type:
        wanted, fits = "a value without maps: they have no order", False
    else:
        wanted, fits = "a value that has an order", call.function in UNORDERED or kind not in ("struct", "array")
    if kind != "?" and not fits:
        given = f"{call.argument} ({argument.type})"
        raise wrong_arguments(where, function=call.function, given=given, expected=wanted)


def aggregate_text(aggregate: Aggregate) -> str:
    """The aggregate as it is written in YAML."""
    inner = aggregate.argument.text if aggregate.argument else "*"
    tail = f" where {aggregate.where.text}" if aggregate.where else ""
    return f"{aggregate.function}({inner}){tail}"


def aggregate_type(aggregate: Aggregate) -> str:
    """The type of the result, as the semantics fix it; '?' where the argument's is not known."""
    if aggregate.function in ("count", "count_distinct"):
        return "bigint"
    if aggregate.function in ("mean", "stddev"):
        return "double"
    given = aggregate.argument.type if aggregate.argument else "?"
    if aggregate.function != "sum":
        return given
    if given in ("tinyint", "smallint", "int", "bigint"):
        return "bigint"
    return f"decimal(38,{given[:-1].split(',')[1]})" if given.startswith("decimal(") else given
