"""Rendered SQL with its type, and which types may meet without a cast that could fail."""

from dataclasses import dataclass, replace

from spark_scoring.errors import ConfigError, contradiction
from spark_scoring.spec.sql_numbers import INTEGERS, family, loses_digits, shape, wider

OPEN = ("?", "null")


@dataclass(frozen=True, kw_only=True)
class Typed:
    """SQL and its type; of a literal also its digits (`literal`, whole numbers) or its value (`text`)."""

    sql: str
    type: str
    literal: str | None = None
    text: str | None = None

    @property
    def family(self) -> str:
        return family(self.type)


def refuse_mix(where: str, *, left: Typed, right: Typed, word: str) -> ConfigError:
    given = f"{left.sql} ({left.type}) and {right.sql} ({right.type}) in '{word}'"
    why = "they are of different types, and a cast that Spark adds itself can fail"
    return contradiction(where, given=given, why=why, do="Write the cast: try_cast(… as …), or a literal of that type")


def untyped_null(where: str, *, word: str) -> ConfigError:
    why = "it has no type, and so the result has none"
    return contradiction(where, given=f"a null in '{word}'", why=why, do="Write its type: try_cast(null as …)")


def comparable(left: Typed, right: Typed, *, word: str, where: str) -> tuple[Typed, Typed]:
    """Two values that may be compared; a date that meets a timestamp becomes one."""
    if left.family in OPEN or right.family in OPEN:
        return left, right
    if {left.family, right.family} == {"date", "timestamp"}:
        return _instant(left), _instant(right)
    if left.family == right.family == "map":
        given, do = f"{left.sql} and {right.sql} in '{word}'", "Compare what they hold, such as element_at(…)"
        raise contradiction(where, given=given, why="maps cannot be compared", do=do)
    if left.family != right.family:
        raise refuse_mix(where, left=left, right=right, word=word)
    if left.family != "number" and left.type != right.type:
        raise refuse_mix(where, left=left, right=right, word=word)
    return left, right


def _instant(value: Typed) -> Typed:
    if value.family != "date":
        return value
    return replace(value, sql=f"try_cast({value.sql} as timestamp)", type="timestamp")


def common(values: tuple[Typed, ...], *, word: str, where: str) -> str:
    """The one type of values that are chosen from."""
    found = "null"
    for value in values:
        if value.type in OPEN:
            found = "?" if "?" in (found, value.type) else found
        elif found in OPEN:
            found = value.type if found == "null" else "?"
        elif family(found) == "number" == value.family and not loses_digits(found, value.type):
            found = wider(found, value.type)
        elif found != value.type:
            raise refuse_mix(where, left=values[0], right=value, word=word)
    return found


def negated(value: Typed) -> Typed:
    """The value with its sign turned; the least integer gives null."""
    if value.type in INTEGERS:
        return Typed(sql=f"try_subtract(cast(0 as {value.type}), {value.sql})", type=value.type)
    if value.family == "number" and shape(value.type):
        # Spark's own minus and abs round a decimal to 34 digits
        return Typed(
            sql=f"try_cast(try_subtract(cast(0 as {value.type}), {value.sql}) as {value.type})",
            type=value.type,
        )
    if value.family == "number":
        return Typed(sql=f"(- {value.sql})", type=value.type)
    return Typed(sql=f"try_subtract(0, {value.sql})", type="?")
