"""Spark SQL text to tokens, with Spark's own rules for strings and numbers."""

import re
from dataclasses import dataclass
from typing import Literal, cast

from spark_scoring.errors import bad_sql

Kind = Literal["text", "number", "name", "quoted", "sign", "end"]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?:BD|[LSYDF])?(?!\w))
    | (?P<name>[^\W\d]\w*)
    | `(?P<quoted>[^`]+)`
    | (?P<sign><=>|<>|!=|==|<=|>=|\|\||::|[-+*/%=<>()\[\],.!])
    )""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)
_SHORT = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token: the meaning of a text, the spelling of everything else; `start` counts from 0."""

    kind: Kind
    value: str
    start: int
    end: int


def _unescaped(match: re.Match[str]) -> str:
    if code := match[1] or match[2]:
        return chr(int(code, 16))
    return chr(int(match[3], 8)) if match[3] else _SHORT.get(match[4], match[4])


def unquote(literal: str) -> str:
    """The value of a quoted SQL text."""
    quote = literal[0]
    parts = literal[1:-1].replace("\\\\", "\\u005C").replace(quote * 2, f"\\{quote}")
    return _ESCAPE.sub(_unescaped, parts)


def _meaning(literal: str, *, text: str, start: int, where: str) -> str:
    try:
        # two halves of a character are one, as for Java; half of one is no text that could be stored
        return unquote(literal).encode("utf-16", "surrogatepass").decode("utf-16")
    except (ValueError, OverflowError):
        raise bad_sql(where, text=text, position=start, problem="an escape in this text is no character") from None


def quote(value: str) -> str:
    """A SQL literal that Spark reads back as exactly this text.

    No `${` stands in it: Spark replaces `${env:X}` and `${x}` anywhere in SQL, before it is parsed.
    """
    plain = value.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + re.sub(r"[\x00-\x1f\x7f-\x9f]|\$(?=\{)", lambda found: f"\\u{ord(found[0]):04x}", plain) + "'"


def tokenize(text: str, *, where: str) -> tuple[Token, ...]:
    """The tokens of the text and one of kind 'end'.

    Raises: ConfigError at the first character that begins no token, and at a comment.
    """
    found: list[Token] = []
    position = 0
    while text[position:].strip():
        start = len(text) - len(text[position:].lstrip())
        match = _TOKEN.match(text, position)
        if text.startswith(("--", "/*"), start):
            raise bad_sql(where, text=text, position=start, problem="comments are not allowed; use YAML's '#'")
        if not match or not match.lastgroup:
            raise bad_sql(where, text=text, position=start, problem=f"unexpected {text[start]!r}")
        kind, value, position = cast(Kind, match.lastgroup), match[match.lastgroup], match.end()
        meaning = _meaning(value, text=text, start=start, where=where) if kind == "text" else value
        found.append(Token(kind=kind, value=meaning, start=start, end=position))
    return (*found, Token(kind="end", value="", start=len(text), end=len(text)))
