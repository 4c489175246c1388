"""What an index of a window holds, and what each aggregate takes from it: the texts that the JVM's functions read."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql.types import StructField

from spark_scoring.spec.wide import Aggregate, Window
from spark_scoring.wide.frames import length_us, named
from spark_scoring.wide.items import Read, read_by

# what an index keeps beside the places of a measure's values, one letter for each thing
_NEEDS = {
    "count": "", "count_distinct": "d", "sum": "s", "mean": "s", "stddev": "s", "min": "lv", "max": "gv",
    "first": "vz", "last": "vz",
}  # fmt: skip
_SUMMED = ("sum", "mean")
_COUNTS = ("count", "count_distinct")
_KEEPS_NULLS = ("first", "last")
_NONE = "-1"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """The values of one field of the items, or the items themselves, that one condition lets through."""

    field: str | None
    condition: str | None
    nulls: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The measures of steps that share an index, with what is needed of each."""

    steps: tuple[Window, ...]
    fields: tuple[StructField, ...]
    read: Read
    known: bool
    needs: dict[Measure, str]

    def index(self) -> str:
        """`value,condition,needs` of each measure; a value and a condition are places in an item."""
        return ";".join(
            f"{self._place(measure.field)},{self._place(measure.condition)},{needs}"
            for measure, needs in self.needs.items()
        )

    def found(self) -> str:
        """Of each step how far back it reaches, and its aggregates."""
        windows = [
            ";".join([str(length_us(step.last)), *(self._aggregate(aggregate) for _, aggregate in step.take)])
            for step in self.steps
        ]
        return "/".join(["known" if self.known else "", *windows])

    def columns(self, found: str) -> list[str]:
        """The columns that the steps add, out of what was found for all of them."""
        taken = [take for step in self.steps for take in step.take]
        # nothing was found where a row has no usable instant
        values = [
            f"coalesce({found}.a{i}, 0L)" if aggregate.function in _COUNTS else f"{found}.a{i}"
            for i, (_, aggregate) in enumerate(taken)
        ]
        return [named(value, new) for value, (new, _) in zip(values, taken, strict=True)]

    def _aggregate(self, aggregate: Aggregate) -> str:
        own = measure_of(aggregate, read=self.read)
        if aggregate.function == "stddev":
            return f"stddev|{self._typed(deviations_of(aggregate, read=self.read))}|{self._typed(own)}"
        told = self._typed(own) if aggregate.function in _SUMMED else str(self._number(own))
        return f"{aggregate.function}|{told}"

    def _typed(self, measure: Measure) -> str:
        kind = next((field.dataType.simpleString() for field in self.fields if field.name == measure.field), "boolean")
        return f"{self._number(measure)}|{kind}"

    def _number(self, measure: Measure) -> int:
        return list(self.needs).index(measure)

    def _place(self, field: str | None) -> str:
        return _NONE if field is None else str([found.name for found in self.fields].index(field))


def plan_of(steps: Sequence[Window], *, fields: Sequence[StructField], known: bool) -> Plan:
    """The plan of steps over one table and one key."""
    read = read_by(steps)
    needs: dict[Measure, str] = {}

    def need(measure: Measure, what: str) -> None:
        have = needs.get(measure, "n" if measure.nulls else "")
        needs[measure] = have + "".join(letter for letter in what if letter not in have)

    for step in steps:
        for _, aggregate in step.take:
            need(
                measure_of(aggregate, read=read), "s" if aggregate.function == "stddev" else _NEEDS[aggregate.function]
            )
            if aggregate.function == "stddev":
                need(deviations_of(aggregate, read=read), "sq")
    return Plan(steps=tuple(steps), fields=tuple(fields), read=read, known=known, needs=needs)


def measure_of(aggregate: Aggregate, *, read: Read) -> Measure:
    """What the aggregate sees; of stddev, what its mean sees."""
    condition = read.condition(aggregate.where) if aggregate.where else None
    field = read.argument(aggregate.argument) if aggregate.argument else None
    return Measure(field=field, condition=condition, nulls=field is None or aggregate.function in _KEEPS_NULLS)


def deviations_of(aggregate: Aggregate, *, read: Read) -> Measure:
    """What stddev sees: doubles."""
    if aggregate.argument is None:
        raise ValueError("stddev has an argument")
    condition = read.condition(aggregate.where) if aggregate.where else None
    return Measure(field=read.deviation(aggregate.argument), condition=condition, nulls=False)
