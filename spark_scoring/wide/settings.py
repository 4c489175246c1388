"""Settings of a session with which an expression would mean something else."""

from collections.abc import Iterator, Sequence

from pyspark.sql import SparkSession

from spark_scoring.errors import other_setting
from spark_scoring.spec.sql import Expression
from spark_scoring.spec.wide import Columns, Rule, Step, Window

# of each the values that are fit, the first is Spark's own or the one that sessions of this package have
FIT = {
    "spark.sql.ansi.enabled": ("true",),
    "spark.sql.session.timeZone": ("UTC", "Etc/UTC", "GMT", "Z", "+00:00"),
    "spark.sql.timestampType": ("TIMESTAMP_LTZ",),
    "spark.sql.caseSensitive": ("false",),
    "spark.sql.decimalOperations.allowPrecisionLoss": ("true",),
    "spark.sql.legacy.decimal.retainFractionDigitsOnTruncate": ("false",),
    "spark.sql.legacy.exponentLiteralAsDecimal.enabled": ("false",),
    "spark.sql.legacy.literal.pickMinimumPrecision": ("true",),
    "spark.sql.legacy.timeParserPolicy": ("CORRECTED",),
    "spark.sql.parser.escapedStringLiterals": ("false",),
}


def check_settings(spark: SparkSession, *, steps: Sequence[Step], rules: Sequence[Rule]) -> None:
    """Nothing, if the expressions of steps and rules mean in this session what they mean everywhere.

    Raises: ConfigError.
    """
    if all(_is_column(expression) for expression in _expressions(steps, rules)):
        return
    for name, fit in FIT.items():
        given = str(spark.conf.get(name))
        if given.lower() not in [value.lower() for value in fit]:
            raise other_setting(name, given=given, fit=fit[0])


def _expressions(steps: Sequence[Step], rules: Sequence[Rule]) -> Iterator[Expression]:
    yield from (rule.condition for rule in rules)
    for step in steps:
        if isinstance(step, Columns):
            yield from (expression for _, expression in step.take)
        elif isinstance(step, Window):
            for _, aggregate in step.take:
                yield from (part for part in (aggregate.argument, aggregate.where) if part is not None)


def _is_column(expression: Expression) -> bool:
    return expression.columns == (expression.text.strip(" `"),)
