"""The step `columns` and the rules: row-local SQL over the columns that are there so far."""

from collections.abc import Iterator

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType

from spark_scoring.errors import condition_not_boolean
from spark_scoring.spec.sql import Expression
from spark_scoring.spec.wide import Columns, Rule
from spark_scoring.wide.frames import REJECTED, reason, with_added

Named = tuple[str, Expression]


def add_columns(frame: DataFrame, *, step: Columns) -> DataFrame:
    """The frame with one column for each expression."""
    for layer in _layers(step.take):
        added = [F.expr(expression.sql).alias(new) for new, expression in layer]
        frame = with_added(frame, before=frame.columns, added=added, rejected=F.col(REJECTED))
    return frame


def _layers(take: tuple[Named, ...]) -> Iterator[list[Named]]:
    """The expressions in order, cut before each one that reads a column of its own layer."""
    layer: list[Named] = []
    for new, expression in take:
        if {name.lower() for name in expression.columns} & {name.lower() for name, _ in layer}:
            yield layer
            layer = []
        layer.append((new, expression))
    yield layer


def add_rules(frame: DataFrame, *, rules: tuple[Rule, ...]) -> DataFrame:
    """The frame with the first broken rule as the reason of every row that has no other."""
    if not rules:
        return frame
    rejected = F.coalesce(F.col(REJECTED), *[_broken(frame, rule=rule) for rule in rules])
    return with_added(frame, before=frame.columns, added=[], rejected=rejected)


def _broken(frame: DataFrame, *, rule: Rule) -> Column:
    condition = F.expr(rule.condition.sql)
    given = frame.select(condition.alias("condition")).schema["condition"].dataType
    if not isinstance(given, BooleanType):
        raise condition_not_boolean(f"rules.{rule.name}", text=rule.condition.text, given=given.simpleString())
    # Null breaks a rule too.
    detail = ", ".join(rule.condition.columns) or rule.name
    return F.when(~F.coalesce(condition, F.lit(False)), reason(f"RULE:{rule.name}", detail=detail))
