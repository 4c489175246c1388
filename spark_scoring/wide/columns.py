"""The step `columns` and the rules: row-local SQL over the columns that are there so far."""

from collections.abc import Iterator

from pyspark.sql import DataFrame
from pyspark.sql.types import BooleanType

from spark_scoring.errors import condition_not_boolean
from spark_scoring.spec.sql import Expression
from spark_scoring.spec.wide import Columns, Rule, WideTable
from spark_scoring.wide.frames import REJECTED, named, reason, refusals_of, with_added

Named = tuple[str, Expression]


def add_columns(frame: DataFrame, *, step: Columns) -> DataFrame:
    """The frame with one column for each expression."""
    for layer in _layers(step.take):
        added = [named(expression.sql, new) for new, expression in layer]
        frame = with_added(frame, before=frame.columns, added=added, rejected=REJECTED)
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


def add_rules(frame: DataFrame, *, wide: WideTable) -> DataFrame:
    """The frame with the first broken rule as the reason of every row that has no other."""
    rules = wide.rules
    if not rules:
        return frame
    with refusals_of(f"{wide.name}: rules"):
        _check(frame, rules=rules)
    broken = ", ".join(_broken(rule) for rule in rules)
    return with_added(frame, before=frame.columns, added=[], rejected=f"coalesce({REJECTED}, {broken})")


def _check(frame: DataFrame, *, rules: tuple[Rule, ...]) -> None:
    conditions = frame.selectExpr(*[named(rule.condition.sql, f"rule_{i}") for i, rule in enumerate(rules)])
    for rule, found in zip(rules, conditions.schema, strict=True):
        if not isinstance(found.dataType, BooleanType):
            given = found.dataType.simpleString()
            raise condition_not_boolean(f"rules.{rule.name}", text=rule.condition.text, given=given)


def _broken(rule: Rule) -> str:
    # null breaks a rule too
    detail = ", ".join(rule.condition.columns) or rule.name
    return f"if(({rule.condition.sql}) is true, null, {reason(f'RULE:{rule.name}', detail=detail)})"
