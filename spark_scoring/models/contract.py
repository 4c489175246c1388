"""What a model promises: the features it reads, what comes out, and how exactly. No Spark, no MLflow."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

FORMAT = 1
Task: TypeAlias = Literal["regression", "binary", "multiclass"]


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column of the wide table that the model reads; the type as Spark prints it."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a score may lie from the golden one: units in the last place, or a share of the score."""

    ulps: int = 0
    relative: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """All that a worker needs to know to load the model and call it."""

    runtime: str
    file: str
    serialization: str
    features: tuple[Feature, ...]
    task: Task
    classes: tuple[str, ...]
    tolerance: Tolerance
    libraries: tuple[tuple[str, str], ...]

    def dump(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n"

    @staticmethod
    def load(path: Path) -> "ModelSpec":
        return ModelSpec.unpack(json.loads(path.read_text("utf-8")))

    @staticmethod
    def unpack(given: dict[str, Any]) -> "ModelSpec":
        """The spec that `dump` wrote; KeyError, TypeError or ValueError for anything else."""
        if given["format"] != FORMAT:
            raise ValueError(f"format {given['format']}")
        return ModelSpec(
            runtime=given["runtime"],
            file=given["file"],
            serialization=given["serialization"],
            features=tuple(Feature(**feature) for feature in given["features"]),
            task=given["task"],
            classes=tuple(given["classes"]),
            tolerance=Tolerance(**given["tolerance"]),
            libraries=tuple((name, version) for name, version in given["libraries"]),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Outputs:
    """One score and one label per row, in the rows' order; the label is None in a regression."""

    score: npt.NDArray[np.float64]
    label: npt.NDArray[np.object_]


# What a runtime's `load(folder, spec)` returns; called once per block of rows, it may raise on any of them.
Predict: TypeAlias = Callable[[pa.RecordBatch], Outputs]
