"""A tree to Spark SQL that cannot raise: `try_` forms, checked literals, no cast but written ones."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from spark_scoring.errors import bad_value, contradiction, unknown_name, wrong_arguments
from spark_scoring.spec.sql_calls import call_sql, inner_types
from spark_scoring.spec.sql_forms import instant_of, moved
from spark_scoring.spec.sql_grammar import Node
from spark_scoring.spec.sql_numbers import INTEGERS, arithmetic_type, decimal, family, literal_type
from spark_scoring.spec.sql_texts import cast_text
from spark_scoring.spec.sql_tokens import quote
from spark_scoring.spec.sql_typed import OPEN, Typed, common, comparable, negated, refuse_mix, untyped_null
from spark_scoring.spec.types import parse_type

TRY = {"+": "try_add", "-": "try_subtract", "*": "try_multiply", "/": "try_divide", "%": "try_mod"}
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=", "<=>")
# in microseconds; an interval of more than 10,000 years overflows in Spark's parser or later
UNITS = {"microsecond": 1, "millisecond": 1000, "second": 10**6, "minute": 60 * 10**6, "hour": 3600 * 10**6}
UNITS |= {"day": 86400 * 10**6, "week": 7 * 86400 * 10**6}
LONGEST_SQL = 50_000
LONGEST = 3_650_000 * UNITS["day"]


@dataclass(frozen=True, kw_only=True)
class Renderer:
    """Renders over columns of known types (None: any column, of unknown type); notes what it reads."""

    where: str
    types: Mapping[str, str] | None
    columns: dict[str, None] = field(default_factory=dict)

    def render(self, node: Node) -> Typed:
        """The SQL of a node and its type."""
        for kinds, rendered in (
            (COMPARISONS, self.comparison),
            (("and", "or", "not", "is true", "is false"), self.logic),
            (tuple(TRY), self.arithmetic),
            (("number", "text", "constant", "date", "timestamp", "interval"), self.literal),
        ):
            if node.kind in kinds:
                return self.bounded(rendered(node))
        by_kind: dict[str, Callable[[Node], Typed]] = {
            "column": self.column, "field": self.struct_field, "item": self.item, "cast": self.cast,
            "call": self.call, "case": self.case, "in": self.in_list, "between": self.between,
            "like": self.like, "||": self.joined, "negative": self.negative, "is null": self.is_null,
        }  # fmt: skip
        return self.bounded(by_kind[node.kind](node))

    def bounded(self, value: Typed) -> Typed:
        """The value; some safe forms name an argument twice, and nesting them must not fill the memory."""
        if len(value.sql) > LONGEST_SQL:
            why, do = (
                f"its safe form is longer than {LONGEST_SQL} characters",
                "Split it into several columns",
            )
            raise contradiction(self.where, given="this expression", why=why, do=do)
        return value

    def column(self, node: Node) -> Typed:
        if "`" in node.value:
            raise bad_value(self.where, given=node.value, allowed="a column's name")
        by_lower = {name.lower(): name for name in self.types or ()}
        name = by_lower.get(node.value.lower(), node.value)
        if self.types is not None and node.value.lower() not in by_lower:
            raise unknown_name(self.where, kind="column", given=node.value, known=tuple(self.types))
        self.columns[name] = None
        return Typed(sql=f"`{name}`", type=self.types[name] if self.types else "?")

    def struct_field(self, node: Node) -> Typed:
        base = self.render(node.args[0])
        if base.family not in ("struct", "?"):
            why = f"{base.sql} is of type {base.type}, and only a struct has fields"
            raise contradiction(self.where, given=f"{base.sql}.{node.value}", why=why, do="Name the column alone")
        fields = dict(part.split(":", 1) for part in inner_fields(base.type))
        found = next((name for name in fields if name.lower() == node.value.lower()), None)
        if found is None and base.family == "struct":
            raise unknown_name(self.where, kind=f"field of {base.sql}", given=node.value, known=tuple(fields))
        return Typed(sql=f"{base.sql}.`{found or node.value}`", type=fields[found] if found else "?")

    def item(self, node: Node) -> Typed:
        base, index = (self.render(arg) for arg in node.args)
        if base.family == "map":
            return call_sql("element_at", (base, index), where=self.where)
        return call_sql("get", (base, index), where=self.where)

    def literal(self, node: Node) -> Typed:
        if node.kind == "number":
            return self.number(node.value)
        if node.kind == "text":
            return Typed(sql=quote(node.value), type="string", text=node.value)
        if node.kind == "constant":
            return Typed(sql=node.value, type="null" if node.value == "null" else "boolean")
        return self.interval(node.value) if node.kind == "interval" else self.instant(node)

    def number(self, text: str) -> Typed:
        kind = literal_type(text)
        if kind is None:
            raise bad_value(self.where, given=text, allowed="a number that its type can hold")
        whole = text if re.fullmatch(r"-?[0-9]+", text) else None
        return Typed(sql=f"({text})" if text.startswith("-") else text, type=kind, literal=whole)

    def instant(self, node: Node) -> Typed:
        expected = (
            "a date as in date '2013-09-01'"
            if node.kind == "date"
            else "an instant as in timestamp '2013-09-01 06:00:00'"
        )
        try:
            read = date.fromisoformat(node.value) if node.kind == "date" else datetime.fromisoformat(node.value)
        except ValueError:
            raise bad_value(self.where, given=node.value, allowed=expected) from None
        zone = "Z" if isinstance(read, datetime) and read.tzinfo is None else ""
        text = read.isoformat() if node.kind == "date" else f"{read.isoformat()}{zone}"
        return Typed(sql=f"{node.kind} '{text}'", type=node.kind)

    def interval(self, text: str) -> Typed:
        match = re.fullmatch(r"([+-]?[0-9]{1,18}) ([a-z]+?)s?", text.strip())
        if not match or match[2] not in UNITS or abs(int(match[1])) * UNITS[match[2]] > LONGEST:
            allowed = f"a whole number and one of {', '.join(UNITS)}, together at most 10,000 years"
            raise bad_value(self.where, given=f"interval {text}", allowed=allowed)
        return Typed(sql=f"interval '{int(match[1])}' {match[2]}", type="interval")

    def arithmetic(self, node: Node) -> Typed:
        left, right = (self.render(arg) for arg in node.args)
        sql = f"{TRY[node.kind]}({left.sql}, {right.sql})"
        families = (left.family, right.family)
        if "null" in families:
            raise untyped_null(self.where, word=node.kind)
        if "?" in families:
            return Typed(sql=sql, type="?")
        if families == ("number", "number"):
            return Typed(sql=sql, type=arithmetic_type(node.kind, *_precise(left, right)))
        if node.kind == "+" and families == ("interval", "timestamp"):
            return Typed(sql=f"try_add({right.sql}, {left.sql})", type="timestamp")
        if node.kind in "+-" and families == ("timestamp", "interval"):
            return Typed(sql=sql, type="timestamp")
        if node.kind in "+-" and left.family == "date" and right.type in INTEGERS[:3]:
            return Typed(sql=moved(left, node.kind, right), type="date")
        raise refuse_mix(self.where, left=left, right=right, word=node.kind)

    def comparison(self, node: Node) -> Typed:
        left, right = (self.render(arg) for arg in node.args)
        left, right = comparable(left, right, word=node.kind, where=self.where)
        return Typed(sql=f"({left.sql} {node.kind} {right.sql})", type="boolean")

    def logic(self, node: Node) -> Typed:
        values = tuple(self.render(arg) for arg in node.args)
        for value in values:
            if value.family not in ("boolean", *OPEN):
                given = f"{value.sql} ({value.type})"
                raise wrong_arguments(self.where, function=node.kind, given=given, expected="conditions")
        if len(values) == 2:
            return Typed(sql=f"({values[0].sql} {node.kind} {values[1].sql})", type="boolean")
        sql = f"(not {values[0].sql})" if node.kind == "not" else f"({values[0].sql} {node.kind})"
        return Typed(sql=sql, type="boolean")

    def is_null(self, node: Node) -> Typed:
        return Typed(sql=f"({self.render(node.args[0]).sql} is null)", type="boolean")

    def negative(self, node: Node) -> Typed:
        value = self.render(node.args[0])
        if value.family not in ("number", *OPEN):
            raise wrong_arguments(self.where, function="-", given=f"{value.sql} ({value.type})", expected="a number")
        if value.type == "null":
            raise untyped_null(self.where, word="-")
        return negated(value)

    def joined(self, node: Node) -> Typed:
        return call_sql("concat", tuple(self.render(arg) for arg in node.args), where=self.where)

    def call(self, node: Node) -> Typed:
        return call_sql(node.value, tuple(self.render(arg) for arg in node.args), where=self.where)

    def cast(self, node: Node) -> Typed:
        value, name = self.render(node.args[0]), parse_type(node.value, where=self.where)
        if not _castable(value, name):
            given = f"{value.sql} ({value.type}) as {name}"
            raise wrong_arguments(
                self.where,
                function="try_cast",
                given=given,
                expected="a cast that Spark knows between simple types",
            )
        if value.family == "string":
            return Typed(sql=cast_text(value.sql, type=name), type=name)
        if value.family == "number" and name == "timestamp":
            return Typed(sql=instant_of(value), type=name)
        return Typed(sql=f"try_cast({value.sql} as {name})", type=name)

    def like(self, node: Node) -> Typed:
        value = self.render(node.args[0])
        if value.family not in ("string", *OPEN):
            given = f"{value.sql} ({value.type})"
            raise wrong_arguments(self.where, function="like", given=given, expected="string")
        if "\\" in re.sub(r"\\[%_\\]", "", node.value):
            allowed = "a pattern where a backslash stands before %, _ or another backslash"
            raise bad_value(self.where, given=node.value, allowed=allowed)
        return Typed(sql=f"({value.sql} like {quote(node.value)})", type="boolean")

    def in_list(self, node: Node) -> Typed:
        values = tuple(self.render(arg) for arg in node.args)
        if len(values) < 2:
            raise wrong_arguments(self.where, function="in", given="an empty list", expected="at least one value")
        common(values, word="in", where=self.where)
        return Typed(sql=f"({values[0].sql} in ({', '.join(value.sql for value in values[1:])}))", type="boolean")

    def between(self, node: Node) -> Typed:
        value, low, high = node.args
        parts = [
            self.comparison(Node(kind=">=", args=(value, low))),
            self.comparison(Node(kind="<=", args=(value, high))),
        ]
        return Typed(sql=f"({parts[0].sql} and {parts[1].sql})", type="boolean")

    def case(self, node: Node) -> Typed:
        values = list(node.args)
        operand = values.pop(0) if "operand" in node.value else None
        last = self.render(values.pop()) if "else" in node.value else Typed(sql="null", type="null")
        conditions, results = values[::2], tuple(self.render(value) for value in values[1::2])
        if operand:
            conditions = [Node(kind="=", args=(operand, condition)) for condition in conditions]
        tests = [self.logic(Node(kind="is true", args=(condition,))) for condition in conditions]
        kind = common((*results, last), word="case", where=self.where)
        branches = " ".join(f"when {test.sql} then {result.sql}" for test, result in zip(tests, results, strict=True))
        return Typed(sql=f"(case {branches} else {last.sql} end)", type=kind)


def inner_fields(name: str) -> tuple[str, ...]:
    """The `name:type` pairs of a struct type."""
    return inner_types(f"map{name.removeprefix('struct')}") if name.startswith("struct<") else ()


def _precise(left: Typed, right: Typed) -> tuple[str, str]:
    """The types, a whole literal beside a decimal counted with its own digits as Spark does."""

    def one(value: Typed, other: Typed) -> str:
        if value.literal is not None and other.type.startswith("decimal") and value.type in INTEGERS:
            return decimal(len(value.literal.lstrip("-0")) or 1, 0)
        return value.type

    return one(left, right), one(right, left)


CASTS = {
    "number": ("number", "string", "boolean", "timestamp"),
    "string": ("number", "string", "boolean", "date", "timestamp", "binary"),
    "boolean": ("number", "string", "boolean"),
    "date": ("date", "string", "timestamp"),
    "timestamp": ("date", "string", "timestamp", "number"),
    "binary": ("string", "binary"),
}


def _castable(value: Typed, name: str) -> bool:
    return value.family in OPEN or value.type == name or family(name) in CASTS.get(value.family, ())
