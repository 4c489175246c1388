"""DDL types without Spark: `decimal(10, 2) not null` to the text Spark itself prints, lower case."""

import re
from dataclasses import dataclass

from spark_scoring.errors import ConfigError, bad_value, did_you_mean, reserved_name

ATOMIC = (
    "string", "boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal(p,s)",
    "binary", "date", "timestamp", "timestamp_ntz",
)  # fmt: skip
ALIASES = {
    "byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint", "real": "float",
    "dec": "decimal", "numeric": "decimal", "timestamp_ltz": "timestamp",
}  # fmt: skip
KNOWN = (*ATOMIC[:8], "decimal", *ATOMIC[9:], "array", "map", "struct")
DEEPEST = 50
IDENTIFIER = re.compile(r"[^\W\d]\w*")
_TOKEN = re.compile(r"\s*([\w`]+|[<>(),:])")


@dataclass(frozen=True, kw_only=True)
class DeclaredType:
    """A type as Spark prints it, and whether null is allowed."""

    name: str
    nullable: bool


@dataclass(kw_only=True)
class _Parser:
    text: str
    where: str
    tokens: list[str]
    depth: int = 0

    def refuse(self, token: str = "") -> ConfigError:
        hint = did_you_mean(token, (*KNOWN, *ALIASES)) if token else ""
        allowed = f"{', '.join(ATOMIC)}, array<t>, map<k,v>, struct<name:t>, each with or without 'not null'.{hint}"
        return bad_value(self.where, given=self.text, allowed=allowed.removesuffix("."))

    def take(self) -> str:
        if not self.tokens:
            raise self.refuse()
        return self.tokens.pop(0)

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise self.refuse()

    def type(self) -> str:
        token = self.take()
        name = ALIASES.get(token.lower(), token.lower())
        if name not in KNOWN:
            raise self.refuse(token)
        if name == "decimal":
            return self.decimal()
        return self.nested(name) if name in ("array", "map", "struct") else name

    def decimal(self) -> str:
        if self.tokens[:1] != ["("]:
            return "decimal(10,0)"
        self.take()
        precision, scale = self.take(), "0"
        if self.tokens[:1] == [","]:
            self.take()
            scale = self.take()
        self.expect(")")
        numbers = [int(text) for text in (precision, scale) if re.fullmatch("[0-9]{1,9}", text)]
        if len(numbers) < 2 or not 0 <= numbers[1] <= numbers[0] <= 38 or not numbers[0]:
            raise self.refuse()
        return f"decimal({numbers[0]},{numbers[1]})"

    def nested(self, name: str) -> str:
        self.expect("<")
        self.depth += 1
        if self.depth > DEEPEST:
            raise bad_value(self.where, given=self.text, allowed=f"a type nested at most {DEEPEST} levels deep")
        parts = [self.field() if name == "struct" else self.type()]
        while self.tokens[:1] == [","]:
            self.take()
            parts.append(self.field() if name == "struct" else self.type())
        self.expect(">")
        self.depth -= 1
        names = [part.split(":")[0].lower() for part in parts]
        if (name == "struct" and len(set(names)) < len(names)) or len(parts) != {"array": 1, "map": 2}.get(
            name, len(parts)
        ):
            raise self.refuse()
        return f"{name}<{','.join(parts)}>"

    def field(self) -> str:
        name = self.take().strip("`")
        if not IDENTIFIER.fullmatch(name):
            raise self.refuse()
        if self.tokens[:1] == [":"]:
            self.take()
        return f"{name}:{self.type()}"


def _tokens(text: str, where: str) -> list[str]:
    found, position = [], 0
    while match := _TOKEN.match(text, position):
        found.append(match[1])
        position = match.end()
    if text[position:].strip():
        raise _Parser(text=text, where=where, tokens=[]).refuse()
    return found


def is_nested(name: str) -> bool:
    """Whether a type, as it is written here, holds others."""
    return "<" in name


def parse_declared(text: str, *, where: str) -> DeclaredType:
    """`bigint not null` as type and nullability; the type in Spark's own spelling."""
    parser = _Parser(text=text, where=where, tokens=_tokens(text, where))
    name = parser.type()
    rest = [token.lower() for token in parser.tokens]
    if rest not in ([], ["not", "null"]):
        raise parser.refuse()
    return DeclaredType(name=name, nullable=not rest)


def parse_type(text: str, *, where: str) -> str:
    """A type alone, in Spark's own spelling: `Long` is `bigint`."""
    declared = parse_declared(text, where=where)
    if not declared.nullable:
        raise bad_value(where, given=text, allowed="a type without 'not null'")
    return declared.name


def check_identifier(name: str, *, where: str) -> str:
    """The name, if it is letters, digits and underscores and does not begin with a digit."""
    if not IDENTIFIER.fullmatch(name):
        why = "a name is letters, digits and underscores, and begins with no digit"
        raise reserved_name(where, given=name, why=why)
    return name
