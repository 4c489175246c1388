"""Texts as Spark may parse them: where it would fail, need hours or ask the clock, it gets '' and gives null."""

import re

from spark_scoring.spec.sql_tokens import quote

# years of six digits end before a bigint of microseconds does
YEAR = "(?:[0-9]{4}|[-+][0-9]{4,5}|[-+](?:[01][0-9]{5}|2[0-8][0-9]{4}|29[0-3][0-9]{3}))"


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
