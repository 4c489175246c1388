"""The key of one row as a text: `f001`, or `carrier=UA,flight=17` for a key of several columns."""

import re
from collections.abc import Mapping

import pyspark.sql.functions as F
from pyspark.sql import Column, SparkSession

from spark_scoring import errors
from spark_scoring.spec.sql_texts import cast_text
from spark_scoring.spec.sql_tokens import quote
from spark_scoring.spec.wide import Rows
from spark_scoring.wide.frames import column

WHERE = "KEY"
_NAMED = re.compile(r"(\w+)=(.*)", re.DOTALL)
# a comma belongs to a value unless a name follows it
_BETWEEN = re.compile(r",(?=\w+=)")


def parse_key(text: str, rows: Rows) -> dict[str, str]:
    """Key column -> value as text, in the order of `rows.key`.

    Raises: ConfigError: a column is not of the key, missing, or there twice.
    """
    if _NAMED.fullmatch(text) is None:
        if len(rows.key) > 1:
            raise errors.bad_value(WHERE, given=text, allowed=_form(rows))
        return {rows.key[0]: text}
    names = {name.lower(): name for name in rows.key}
    found: dict[str, str] = {}
    for part in _BETWEEN.split(text):
        match = _NAMED.fullmatch(part)
        assert match is not None
        name = names.get(match[1].lower())
        if name is None and len(rows.key) == 1:
            # a value may hold a `=` too
            raise errors.bad_value(WHERE, given=text, allowed=_form(rows))
        if name is None:
            raise errors.unknown_name(WHERE, kind="key column", given=match[1], known=rows.key)
        if name in found:
            raise errors.name_taken(WHERE, given=name, taken_by="it stands in KEY twice")
        found[name] = match[2]
    if len(found) < len(rows.key):
        raise errors.bad_value(WHERE, given=text, allowed=_form(rows))
    return {name: found[name] for name in rows.key}


def has_key(spark: SparkSession, key: Mapping[str, str], rows: Rows) -> Column:
    """Whether a row has this key.

    Raises: ConfigError: a value is not of its column's type.
    """
    types = {declared.name: declared.type for declared in rows.columns}
    values = {name: cast_text(quote(text), type=types[name]) for name, text in key.items()}
    casts = spark.sql(f"select {', '.join(f'{value} is not null' for value in values.values())}").first()
    assert casts is not None
    for (name, text), fits in zip(key.items(), casts, strict=True):
        if not fits:
            raise errors.bad_value(f"{WHERE}.{name}", given=text, allowed=f"a value of type {types[name]}")
    return F.expr(" and ".join(f"{column(name)} = {value}" for name, value in values.items()))


def _form(rows: Rows) -> str:
    return ",".join(f"{name}=VALUE" for name in rows.key)
