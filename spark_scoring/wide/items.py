"""A table row as it stands in a window: its place in the order, then what conditions and arguments say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql.types import BooleanType, DataType, DecimalType

from spark_scoring.errors import aggregate_not_defined, condition_not_boolean
from spark_scoring.spec.sql import Expression
from spark_scoring.spec.wide import Aggregate, Table, Window
from spark_scoring.wide.frames import column
from spark_scoring.wide.reach import instants
from spark_scoring.wide.zeros import holds_floats, zero_rank

FLOATS = ("float", "double")
_WHOLE = ("tinyint", "smallint", "int", "bigint")
_NUMERIC_ONLY = ("sum", "mean", "stddev")


@dataclass(frozen=True, kw_only=True)
class Read:
    """What window steps read of a table row: conditions, arguments, and which of those stddev reads as doubles."""

    conditions: tuple[Expression, ...]
    arguments: tuple[Expression, ...]
    deviating: tuple[Expression, ...]

    def condition(self, where: Expression) -> str:
        """The field of an item that holds a condition."""
        return f"condition_{self.conditions.index(where)}"

    def argument(self, argument: Expression) -> str:
        """The field of an item that holds an argument."""
        return f"argument_{self.arguments.index(argument)}"

    def deviation(self, argument: Expression) -> str:
        """The field of an item that holds what stddev sees of an argument."""
        return f"double_{self.deviating.index(argument)}" if argument in self.deviating else self.argument(argument)

    @property
    def names(self) -> frozenset[str]:
        """The table columns it reads, in lower case."""
        return frozenset(name.lower() for found in (*self.conditions, *self.arguments) for name in found.columns)

    def columns(self, contract: Table) -> list[str]:
        """The table columns it reads, in the order of the contract."""
        return [declared.name for declared in contract.columns if declared.name.lower() in self.names]


def read_by(steps: Sequence[Window]) -> Read:
    """What the steps read."""
    calls = [aggregate for step in steps for _, aggregate in step.take]
    conditions = [aggregate.where for aggregate in calls if aggregate.where]
    arguments = [aggregate.argument for aggregate in calls if aggregate.argument]
    deviating = [call.argument for call in calls if call.argument and call.function == "stddev"]
    return Read(
        conditions=tuple(dict.fromkeys(conditions)),
        arguments=tuple(dict.fromkeys(arguments)),
        deviating=tuple(dict.fromkeys(found for found in deviating if found.type not in FLOATS)),
    )


def item_of(seen: DataFrame, *, read: Read, contract: Table) -> str:
    """A table row as a struct: its place in the order first, so that items can be sorted."""
    types = {name: seen.schema[name].dataType for name in read.columns(contract)}
    time, known = instants(contract)
    order = [f"'column_{i}', {column(name)}" for i, name in enumerate(types)] or ["'none', 0"]
    fields = [f"'time', {time}", f"'known', {known}", f"'order', named_struct({', '.join(order)})"]
    # rows of one place can still differ in the sign of a zero, which an expression can see
    floats = [(name, given) for name, given in types.items() if holds_floats(given)]
    fields += [f"'zero_{i}', {zero_rank(column(name), given=given)}" for i, (name, given) in enumerate(floats)]
    fields += [f"'condition_{i}', {found.sql}" for i, found in enumerate(read.conditions)]
    fields += [f"'argument_{i}', {found.sql}" for i, found in enumerate(read.arguments)]
    fields += [f"'double_{i}', cast({found.sql} as double)" for i, found in enumerate(read.deviating)]
    return f"named_struct({', '.join(fields)})"


def check_types(types: Mapping[str, DataType], *, steps: Sequence[Window]) -> None:
    """Raises: ConfigError for an argument that has no such aggregate, or a condition that is no boolean."""
    read = read_by(steps)
    for step in steps:
        for new, aggregate in step.take:
            where = f"window {step.table}: {new}"
            given = types[read.argument(aggregate.argument)] if aggregate.argument else None
            if given and not _takes(aggregate, given=given):
                raise aggregate_not_defined(where, function=aggregate.function, given=given.simpleString())
            if aggregate.where and not isinstance(found := types[read.condition(aggregate.where)], BooleanType):
                raise condition_not_boolean(where, text=aggregate.where.text, given=found.simpleString())


def _takes(aggregate: Aggregate, *, given: DataType) -> bool:
    """Whether the aggregate is defined for values of the type."""
    if aggregate.function in _NUMERIC_ONLY:
        return isinstance(given, DecimalType) or given.simpleString() in (*_WHOLE, *FLOATS)
    # maps have no order, and every row of a window has its place
    return "map<" not in given.simpleString()
