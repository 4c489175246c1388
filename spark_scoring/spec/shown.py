"""Values of a configuration as messages may show them: nothing of the environment, nothing that may be a secret."""

import re
from collections.abc import Mapping
from typing import Any

SECRET = re.compile(r"registry|kafka|(.*\.)?options([.\[].*)?", re.DOTALL)
HIDDEN = "a value that is not shown"


class Filled(str):
    """A text with values of the environment in it; `written` is how the file has it, for messages."""

    written: str

    @classmethod
    def of(cls, text: str, *, written: str) -> "Filled":
        made = cls(text)
        made.written = written
        return made


def shown(value: Any) -> str:
    """The value as a message may quote it: variables by their names."""
    return value.written if isinstance(value, Filled) else str(value)


def kind_of(value: Any) -> str:
    """What was given, for a message: 'text 'x'', 'a list', 'nothing'."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text '{shown(value)}'"
    return (
        "a mapping"
        if isinstance(value, Mapping)
        else "a list"
        if isinstance(value, list | tuple)
        else f"a {type(value).__name__}"
    )
