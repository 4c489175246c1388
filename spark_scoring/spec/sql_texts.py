"""Texts as Spark may parse them: where it would fail, need hours or ask the clock, it gets '' and gives null."""

import re

from spark_scoring.spec.sql_tokens import quote

# years of six digits end before a bigint of microseconds does
YEAR = "(?:[0-9]{4}|[-+][0-9]{4,5}|[-+](?:[01][0-9]{5}|2[0-8][0-9]{4}|29[0-3][0-9]{3}))"

# the number is written out to the last digit of its exponent: 1e-10000000 takes minutes
SHORT_EXPONENT = r"(?s)^(?!.*[eE][-+]?\p{Nd}{5}).*"
# a time alone is today's, and the literals 'now' and 'today' are the clock
WITH_YEAR = r"(?s)^[\x00-\x20\x7f]*[-+]?[0-9]{4}.*"


def cast_text(sql: str, *, type: str) -> str:
    """A text cast to a type: null where that is not possible, would take too long, or would need the clock."""
    if type in ("date", "timestamp", "timestamp_ntz"):
        sql = _matching(sql, pattern=WITH_YEAR)
    if type.startswith("decimal"):
        sql = _matching(sql, pattern=SHORT_EXPONENT)
    return f"try_cast({sql} as {type})"


def parsed_text(sql: str, *, format: str) -> str:
    """The text if it has the form that the format asks for, else ''. Spark overflows on years like +300000."""
    form = "".join(map(_form, re.findall(r"yyyy|MM|dd|HH|mm|ss|S+|'T'|.", format)))
    return _matching(sql, pattern=f"^{form}\\z")


def _form(part: str) -> str:
    if part[0] == "S":
        return f"[0-9]{{1,{len(part)}}}"
    return {"yyyy": YEAR, "'T'": "[Tt]"}.get(part, "[0-9]{2}" if part.isalpha() else f"[{part}]")


def _matching(sql: str, *, pattern: str) -> str:
    return f"regexp_extract({sql}, {quote(pattern)}, 0)"
