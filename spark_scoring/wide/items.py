"""A table row as it stands in a window, and the arrays that the aggregates of a window see."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType

from spark_scoring.errors import aggregate_not_defined, condition_not_boolean
from spark_scoring.spec.sql import Expression
from spark_scoring.spec.wide import Aggregate, Table, Window
from spark_scoring.wide.aggregates import AGGREGATES, Values, takes
from spark_scoring.wide.frames import HELPER, column
from spark_scoring.wide.reach import instants
from spark_scoring.wide.zeros import holds_floats, zero_rank

WINDOW = f"{HELPER}window"


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a window step reads of a table row: its conditions and its arguments, each once."""

    conditions: tuple[Expression, ...]
    arguments: tuple[Expression, ...]

    def condition(self, where: Expression) -> str:
        """The field of an item that holds a condition."""
        return f"condition_{self.conditions.index(where)}"

    def field(self, aggregate: Aggregate) -> str:
        """The field of an item that holds the aggregate's argument."""
        return f"argument_{self.arguments.index(aggregate.argument)}" if aggregate.argument else "order"

    def rows(self, aggregate: Aggregate) -> str:
        """The column with the items of the window that the aggregate sees."""
        return f"{WINDOW}_{self.condition(aggregate.where)}" if aggregate.where else WINDOW

    def values(self, aggregate: Aggregate) -> str:
        """The column with the values that the aggregate sees, nulls left out."""
        return f"{self.rows(aggregate)}_{self.field(aggregate)}"

    def columns(self, contract: Table) -> list[str]:
        """The table columns it reads, in the order of the contract."""
        expressions = (*self.conditions, *self.arguments)
        read = {name.lower() for expression in expressions for name in expression.columns}
        return [declared.name for declared in contract.columns if declared.name.lower() in read]


def read_by(step: Window) -> Read:
    """What the step reads."""
    conditions = [aggregate.where for _, aggregate in step.take if aggregate.where]
    arguments = [aggregate.argument for _, aggregate in step.take if aggregate.argument]
    return Read(conditions=tuple(dict.fromkeys(conditions)), arguments=tuple(dict.fromkeys(arguments)))


def item_of(seen: DataFrame, *, read: Read, contract: Table) -> Column:
    """A table row as a struct: its place in the order first, so that items can be sorted."""
    types = {name: seen.schema[name].dataType for name in read.columns(contract)}
    time, known = instants(contract)
    columns = [column(name).alias(f"column_{i}") for i, name in enumerate(types)]
    order = F.struct(time.alias("time"), known.alias("known"), *columns).alias("order")
    # Rows of one place can still differ in the sign of a zero, which an expression can see.
    floats = {name: given for name, given in types.items() if holds_floats(given)}
    zeros = [zero_rank(column(name), given=given).alias(f"zero_{name}") for name, given in floats.items()]
    conditions = [F.expr(found.sql).alias(f"condition_{i}") for i, found in enumerate(read.conditions)]
    arguments = [F.expr(found.sql).alias(f"argument_{i}") for i, found in enumerate(read.arguments)]
    return F.struct(order, *zeros, *conditions, *arguments)


def check_types(types: dict[str, DataType], *, step: Window) -> None:
    """Raises: ConfigError for an argument that has no such aggregate, or a condition that is no boolean."""
    read = read_by(step)
    for new, aggregate in step.take:
        where = f"window {step.table}: {new}"
        given = types[read.field(aggregate)]
        if not takes(aggregate.function, given=given):
            raise aggregate_not_defined(where, function=aggregate.function, given=given.simpleString())
        if aggregate.where and not isinstance(found := types[read.condition(aggregate.where)], BooleanType):
            raise condition_not_boolean(where, text=aggregate.where.text, given=found.simpleString())


def with_values(windows: DataFrame, *, step: Window) -> DataFrame:
    """`__wide_window` cut and laid out as arrays, one for each thing that an aggregate looks at.

    Each layer has its own select, so that an array is made once however many aggregates look at it.
    """
    read = read_by(step)
    conditions = {read.rows(found): found.where for _, found in step.take if found.where}
    cut = [_where(read.condition(where)).alias(rows) for rows, where in conditions.items()]
    windows = windows.select("*", *cut)
    seen = [found for _, found in step.take if found.argument]
    pairs = {read.values(found): (read.rows(found), read.field(found)) for found in seen}
    return windows.select("*", *[_not_null(*pair).alias(values) for values, pair in pairs.items()])


def _where(condition: str) -> Column:
    return F.filter(F.col(WINDOW), lambda item: item[condition])


def _not_null(rows: str, field: str) -> Column:
    return F.filter(F.transform(F.col(rows), lambda item: item[field]), lambda value: value.isNotNull())


def aggregated(step: Window, *, types: dict[str, DataType]) -> list[Column]:
    """The columns that the step adds."""
    read = read_by(step)
    added = []
    for new, aggregate in step.take:
        rows, field = F.col(read.rows(aggregate)), read.field(aggregate)
        values = F.col(read.values(aggregate)) if aggregate.argument else rows
        seen = Values(rows=rows, values=values, field=field, type=types[field])
        added.append(AGGREGATES[aggregate.function](seen).alias(new))
    return added
