"""`${NAME}` in a configuration: replaced by values of the environment, which no message shows."""

import re
from collections.abc import Mapping
from typing import Any

from spark_scoring.errors import no_variable_name, open_variable, unset_variable
from spark_scoring.spec.read import Reader
from spark_scoring.spec.shown import Filled

LONGEST_PATH = 1000
_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def substitute(value: Any, *, environ: Mapping[str, str], where: str) -> Any:
    """The value with every `${NAME}` in its texts replaced; `$${` stands for a plain `${`."""

    def replaced(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if not match[2]:
            raise open_variable(where)
        if match[1] in environ:
            return environ[match[1]]
        # what is no name may be a part of a password
        raise unset_variable(where, name=match[1]) if _NAME.fullmatch(match[1]) else no_variable_name(where)

    if not isinstance(value, str) or not _VARIABLE.search(value):
        return value
    return Filled.of(_VARIABLE.sub(replaced, value), written=value)


def expand(reader: Reader, *, environ: Mapping[str, str]) -> Any:
    """The plain data under a reader with every `${NAME}` replaced, whatever its depth."""
    if len(reader.path) > LONGEST_PATH:
        raise reader.refuse("fewer levels (is there an alias of itself?)")
    if isinstance(reader.value, Mapping):
        return {name: expand(value, environ=environ) for name, value in reader.items()}
    if isinstance(reader.value, list | tuple):
        return [expand(value, environ=environ) for value in reader.list()]
    return substitute(reader.value, environ=environ, where=reader.where)
