"""Tokens to a tree, with Spark's own order of operators; what is not in this grammar is refused."""

from collections.abc import Callable
from dataclasses import dataclass

from spark_scoring.errors import ConfigError, bad_sql, unsafe_sql
from spark_scoring.spec.sql_tokens import Token, tokenize

RESERVED = (
    "and", "or", "not", "in", "is", "between", "like", "case", "when", "then", "else", "end", "as", "from",
    "select", "where", "distinct", "over", "filter", "exists", "union", "rlike", "ilike", "regexp", "escape",
)  # fmt: skip
LEVELS = (("=", "==", "<>", "!=", "<", "<=", ">", ">=", "<=>"), ("+", "-", "||"), ("*", "/", "%"))
SAME = {"==": "=", "!=": "<>"}
DEEPEST = 50


@dataclass(frozen=True, kw_only=True)
class Node:
    """A part of an expression: what it is, its own word or value, its operands."""

    kind: str
    value: str = ""
    args: tuple["Node", ...] = ()


@dataclass(kw_only=True)
class _Parser:
    text: str
    where: str
    tokens: tuple[Token, ...]
    position: int = 0
    depth: int = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def refuse(self, problem: str) -> ConfigError:
        return bad_sql(self.where, text=self.text, position=self.token.start, problem=problem)

    def is_word(self, *words: str, ahead: int = 0) -> bool:
        token = self.tokens[min(self.position + ahead, len(self.tokens) - 1)]
        return token.kind == "name" and token.value.lower() in words

    def is_sign(self, *signs: str, ahead: int = 0) -> bool:
        token = self.tokens[min(self.position + ahead, len(self.tokens) - 1)]
        return token.kind == "sign" and token.value in signs

    def at_end(self) -> bool:
        return self.token.kind == "end"

    def advance(self) -> Token:
        token = self.token
        self.position += 1
        return token

    def take_word(self, *words: str) -> bool:
        found = self.is_word(*words)
        self.position += found
        return found

    def take_sign(self, sign: str) -> bool:
        found = self.is_sign(sign)
        self.position += found
        return found

    def expect(self, value: str) -> None:
        if self.token.kind in ("sign", "name") and self.token.value.lower() == value:
            self.advance()
            return
        found = repr(self.text[self.token.start : self.token.end]) if self.token.kind != "end" else "the end"
        raise self.refuse(f"expected '{value}', found {found}")

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.refuse(f"it is nested deeper than {DEEPEST} levels; split it into steps")
        node = self.conjunction()
        while self.take_word("or"):
            node = Node(kind="or", args=(node, self.conjunction()))
        self.depth -= 1
        return node

    def conjunction(self) -> Node:
        node = self.negation()
        while self.take_word("and"):
            node = Node(kind="and", args=(node, self.negation()))
        return node

    def negation(self) -> Node:
        count = 0
        while self.take_word("not") or self.take_sign("!"):
            count += 1
        node = self.predicate()
        return Node(kind="not", args=(node,)) if count % 2 else node

    def predicate(self) -> Node:
        node = self.operation(0)
        if self.take_word("is"):
            negated = self.take_word("not")
            word = next((word for word in ("null", "true", "false") if self.take_word(word)), None)
            if word is None:
                raise self.refuse("expected 'null', 'true' or 'false' after 'is'")
            return self.maybe_not(Node(kind=f"is {word}", args=(node,)), negated=negated)
        negated = self.is_word("not") and self.is_word("in", "between", "like", ahead=1) and self.take_word("not")
        for word, read in (("in", self.in_list), ("between", self.between), ("like", self.like)):
            if self.take_word(word):
                return self.maybe_not(read(node), negated=negated)
        return node

    def maybe_not(self, node: Node, *, negated: bool) -> Node:
        return Node(kind="not", args=(node,)) if negated else node

    def in_list(self, node: Node) -> Node:
        self.expect("(")
        if self.is_word("select"):
            raise self.refuse("a sub-query is not row-local; join a table with a step")
        return Node(kind="in", args=(node, *self.arguments(")")))

    def between(self, node: Node) -> Node:
        low = self.operation(0)
        self.expect("and")
        return Node(kind="between", args=(node, low, self.operation(0)))

    def like(self, node: Node) -> Node:
        if self.token.kind != "text":
            raise self.refuse("the pattern of 'like' must be a literal text")
        return Node(kind="like", value=self.advance().value, args=(node,))

    def operation(self, level: int) -> Node:
        deeper: Callable[[], Node] = (lambda: self.operation(level + 1)) if level + 1 < len(LEVELS) else self.unary
        node = deeper()
        while self.is_sign(*LEVELS[level]):
            sign = self.advance().value
            node = Node(kind=SAME.get(sign, sign), args=(node, deeper()))
        return node

    def unary(self) -> Node:
        minus = 0
        while self.is_sign("-", "+"):
            if self.is_sign("-", ahead=0) and self.tokens[self.position + 1].kind == "number":
                break
            minus += self.advance().value == "-"
            if minus > DEEPEST:
                raise self.refuse("too many signs")
        node = self.postfix()
        for _ in range(minus):
            node = Node(kind="negative", args=(node,))
        return node

    def postfix(self) -> Node:
        node = self.primary()
        while True:
            if self.take_sign("["):
                node = Node(kind="item", args=(node, self.expression()))
                self.expect("]")
            elif self.take_sign("."):
                if self.token.kind not in ("name", "quoted"):
                    raise self.refuse("expected the name of a struct's field after '.'")
                node = Node(kind="field", value=self.advance().value, args=(node,))
            elif self.take_sign("::"):
                node = Node(kind="cast", value=self.type_text(), args=(node,))
            else:
                return node

    def arguments(self, close: str) -> tuple[Node, ...]:
        if self.take_sign(close):
            return ()
        found = [self.argument()]
        while self.take_sign(","):
            found.append(self.argument())
        self.expect(close)
        return tuple(found)

    def argument(self) -> Node:
        if self.is_sign("*"):
            raise self.refuse("'*' stands only in the aggregate count(*)")
        if self.is_word("distinct"):
            raise self.refuse("'distinct' is no row-local operation; a window step has count_distinct(x)")
        return self.expression()

    def primary(self) -> Node:
        token = self.token
        if token.kind == "number" or self.is_sign("-"):
            return Node(kind="number", value=("-" if self.take_sign("-") else "") + self.advance().value)
        if token.kind == "text":
            return Node(kind="text", value=self.texts())
        if token.kind == "quoted":
            return Node(kind="column", value=self.advance().value)
        if self.take_sign("("):
            node = self.expression()
            self.expect(")")
            return node
        return self.word()

    def texts(self) -> str:
        value = self.advance().value
        if self.token.kind == "text":
            raise self.refuse("two texts side by side; join them with ||")
        return value

    def word(self) -> Node:
        if self.token.kind != "name":
            found = repr(self.token.value) if self.token.kind != "end" else "the end"
            raise self.refuse(f"expected a column, a number, a text or a function, found {found}")
        if self.is_word("select"):
            raise self.refuse("a query is not row-local; join a table with a step")
        if self.is_word("case"):
            return self.case()
        if self.is_word("cast", "try_cast") and self.is_sign("(", ahead=1):
            return self.cast()
        if self.is_word("date", "timestamp", "interval") and self.tokens[self.position + 1].kind in (
            "text",
            "number",
        ):
            return self.typed_literal()
        if self.is_word("null", "true", "false"):
            return Node(kind="constant", value=self.advance().value.lower())
        if self.is_word(*RESERVED):
            raise self.refuse(f"unexpected '{self.token.value}'; a column of this name is written in backquotes")
        name = self.advance().value
        return self.call(name) if self.take_sign("(") else Node(kind="column", value=name)

    def call(self, name: str) -> Node:
        node = Node(kind="call", value=name.lower(), args=self.arguments(")"))
        if self.is_word("over", "filter"):
            why, do = "window functions and aggregates are not row-local", "Use a window step"
            raise unsafe_sql(self.where, given=f"{name}(…) {self.token.value}", why=why, do=do)
        return node

    def cast(self) -> Node:
        self.advance()
        self.expect("(")
        node = self.expression()
        self.expect("as")
        cast = Node(kind="cast", value=self.type_text(), args=(node,))
        self.expect(")")
        return cast

    def type_text(self) -> str:
        """The type as written: a word, then its balanced brackets."""
        start, depth = self.token.start, 0
        if self.token.kind != "name":
            raise self.refuse("expected a type")
        end = self.advance().end
        while self.is_sign("<", "(") or depth:
            if self.at_end():
                raise self.refuse("a closing bracket of the type is missing")
            depth += self.is_sign("<", "(") - self.is_sign(">", ")")
            end = self.advance().end
        return self.text[start:end]

    def typed_literal(self) -> Node:
        kind, value = self.advance().value.lower(), self.advance().value
        if kind != "interval":
            return Node(kind=kind, value=value)
        if self.token.kind != "name":
            raise self.refuse("expected a unit, as in interval 2 hours")
        return Node(kind="interval", value=f"{value} {self.advance().value.lower()}")

    def case(self) -> Node:
        self.advance()
        operand = () if self.is_word("when") else (self.expression(),)
        parts: list[Node] = []
        while self.take_word("when"):
            parts.append(self.expression())
            self.expect("then")
            parts.append(self.expression())
        if not parts:
            raise self.refuse("expected 'when'")
        last = (self.expression(),) if self.take_word("else") else ()
        self.expect("end")
        value = f"{'operand' if operand else ''} {'else' if last else ''}"
        return Node(kind="case", value=value, args=(*operand, *parts, *last))


def parse_sql(text: str, *, where: str) -> Node:
    """The tree of an expression.

    Raises: ConfigError that names the character.
    """
    parser = _Parser(text=text, where=where, tokens=tokenize(text, where=where))
    node = parser.expression()
    if parser.token.kind != "end":
        raise parser.refuse(f"unexpected {text[parser.token.start : parser.token.end]!r}")
    return node
