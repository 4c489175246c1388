"""Row-local SQL of a configuration: parsed, held to an allow-list, written again so that it cannot raise."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spark_scoring.errors import bad_sql
from spark_scoring.spec.sql_grammar import parse_sql
from spark_scoring.spec.sql_render import Renderer


@dataclass(frozen=True, kw_only=True)
class Expression:
    """An expression: `text` as written, `sql` as Spark runs it, the columns it reads, its type ('?' unknown).

    Two expressions are equal if they are the same SQL: blanks and the case of names do not matter.
    """

    text: str = field(compare=False)
    sql: str
    columns: tuple[str, ...]
    type: str = field(default="?", compare=False)

    @staticmethod
    def of(text: str) -> "Expression":
        """The expression in a text, over columns that are not known yet: a `WideTable` checks it against its own.

        Raises: ConfigError for what does not parse or is not allowed.
        """
        return parse_expression(text, where="expression")


def parse_expression(text: str, *, where: str, types: Mapping[str, str] | None = None) -> Expression:
    """The expression in a text; `types` are the columns it may read (None: any column, of unknown type).

    Raises: ConfigError for what does not parse, is not allowed, or reads a column that is not there.
    """
    renderer = Renderer(where=where, types=types)
    try:
        rendered = renderer.render(parse_sql(text, where=where))
    except RecursionError:
        problem = "it has too many operators one after another; split it into several columns"
        raise bad_sql(where, text=text, position=0, problem=problem) from None
    return Expression(text=text, sql=rendered.sql, columns=tuple(renderer.columns), type=rendered.type)
