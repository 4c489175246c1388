"""Scores in a session of Spark Connect, where Spark's own JVM is out of reach.

Models travel inside the function, and entries are made by SQL: slower, with the same values.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_scoring.models.package import Package


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A model's files, in the place of a broadcast."""

    value: bytes


def answered(answer: Column, models: Iterable[tuple[str, Package]]) -> Column:
    """The same as `compiled.column.answered`."""
    return F.array(*(_entry(answer, i, role, package) for i, (role, package) in enumerate(models)))


def _entry(answer: Column, place: int, role: str, package: Package) -> Column:
    there, told, label = answer.isNotNull(), answer["told"][place], answer[f"label_{place}"]
    known = F.array(*map(F.lit, package.classes))[label] if package.classes else F.lit(None).cast("string")
    names = {"role": role, "model": package.name, "model_version": package.version}
    fields = {
        # constants that may be null, as Arrow wants the fields of a null
        **{name: F.when(there, F.lit(text)) for name, text in names.items()},
        "score": answer[f"score_{place}"],
        "label": F.when(told.isNotNull(), told["label"]).when(label >= 0, known),
        "reason": told["reason"],
        "detail": told["detail"],
    }
    return F.when(there, F.struct(*(value.alias(name) for name, value in fields.items())))
