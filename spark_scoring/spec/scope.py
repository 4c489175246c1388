"""The names that exist at one point of a definition, compared without case."""

from dataclasses import dataclass

from spark_scoring.errors import name_taken, reserved_name, unknown_name, wrong_type
from spark_scoring.spec.sql import Expression, parse_expression
from spark_scoring.spec.types import check_identifier

OUTPUT_NAMES = (
    "event_time", "event_date", "outcome", "reason", "reason_detail", "score", "label", "model",
    "model_version", "role", "scores", "input", "features", "source", "raw", "commit_id", "scored_at",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Name:
    """A column that exists: its declared spelling, type ('?' unknown) and where it comes from."""

    name: str
    type: str
    origin: str


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Columns in order; `owner` names what has them in messages. An `open` one lets expressions read any column."""

    owner: str
    names: tuple[Name, ...] = ()
    open: bool = False

    @property
    def types(self) -> dict[str, str] | None:
        """Name -> type; None where they are not known."""
        return None if self.open else {name.name: name.type for name in self.names}

    def find(self, given: str, *, where: str, kind: str = "column") -> Name:
        """The column of this name.

        Raises: ConfigError with the nearest name.
        """
        for name in self.names:
            if name.name.lower() == given.lower():
                return name
        known = [name.name for name in self.names]
        raise unknown_name(where, kind=f"{kind} of {self.owner}", given=given, known=known)

    def add(self, given: str, *, type: str, origin: str, where: str) -> "Scope":
        """The scope with one more column.

        Raises: ConfigError if the name exists or is not a name.
        """
        check_identifier(given, where=where)
        for name in self.names:
            if name.name.lower() == given.lower():
                raise name_taken(where, given=given, taken_by=name.origin)
        return Scope(owner=self.owner, names=(*self.names, Name(name=given, type=type, origin=origin)))

    def expression(self, text: str, *, where: str) -> Expression:
        """A row-local expression over these columns, with a value that can be stored."""
        expression = parse_expression(text, where=where, types=self.types)
        if expression.type in ("interval", "null"):
            expected = "a value that can be stored; write try_cast(null as <type>) for a null"
            raise wrong_type(where, given=f"{text} ({expression.type})", expected=expected)
        return expression

    def condition(self, text: str, *, where: str) -> Expression:
        """A row-local condition over these columns."""
        expression = parse_expression(text, where=where, types=self.types)
        if expression.type not in ("boolean", "?"):
            raise wrong_type(where, given=f"{text} ({expression.type})", expected="a condition")
        return expression


def check_own_name(given: str, *, where: str) -> str:
    """The name, if it may be a column of the wide table: none of the output's, none of the internal ones."""
    if given.lower() in OUTPUT_NAMES:
        raise reserved_name(where, given=given, why="the output table has a column of this name")
    if given.lower() == "rejected" or given.startswith("__"):
        raise reserved_name(where, given=given, why="'rejected' and names with '__' in front are the program's own")
    return given
