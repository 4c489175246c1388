"""What a model promises: the features it reads, what comes out, and how exactly. No Spark, no MLflow."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

FORMAT = 1
# of each runtime the formats that it reads, and what in them runs code of its maker when it is loaded
FORMATS: Mapping[str, Mapping[str, str]] = {
    "sklearn": {"skops": "", "cloudpickle": "a pickle"},
    "lightgbm": {"lightgbm text": ""},
    "xgboost": {"xgboost ubj": ""},
    "onnx": {"onnx": ""},
    "pmml": {"pmml": ""},
    "pyfunc": {"pyfunc": "a pyfunc model"},
}
# the file of the model, or the folder of a pyfunc: nothing outside of the package, and nothing that no digest covers
FILE = re.compile(r"model\.[a-z]{1,8}|pyfunc")
# the runtimes whose models read DataFrames
FRAMED = ("sklearn", "pyfunc")
Task: TypeAlias = Literal["regression", "binary", "multiclass"]


class FeatureError(Exception):
    """Feature code of a package failed; the text is the kind of failure, never a value."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column of the wide table that the model reads; the type as Spark prints it.

    `as_floats`: whether pandas made floats of whole numbers, or objects of booleans, when the model was packaged, as it
    does where there are nulls among them. A contract is the same with and without.
    """

    name: str
    type: str
    as_floats: bool = field(default=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Categories:
    """The values that a categorical input had in training, in the order of their codes."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a score may lie from the golden one: units in the last place, or a share of the score."""

    ulps: int = 0
    relative: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """All that a worker needs to know to load the model and call it.

    `features` are the columns of the wide table; `prepared` those that feature code makes of them, if there is any.
    `nan_texts`: whether a null text is NaN to the model itself, and not None.
    """

    runtime: str
    file: str
    serialization: str
    features: tuple[Feature, ...]
    task: Task
    classes: tuple[str, ...]
    tolerance: Tolerance
    libraries: tuple[tuple[str, str], ...]
    why: str = ""
    output: str = ""
    categories: tuple[Categories, ...] = ()
    prepare: str = ""
    prepared: tuple[Feature, ...] = ()
    nan_texts: bool = False

    @property
    def inputs(self) -> tuple[Feature, ...]:
        """The columns that the model itself reads, in its order."""
        return self.prepared or self.features

    @property
    def framed(self) -> tuple[Feature, ...]:
        """The columns of the wide table that reach pandas, whose types depend on what stands beside what."""
        return self.features if self.prepare or self.runtime in FRAMED else ()

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
        runtime, serialization, file, task = (given[name] for name in ("runtime", "serialization", "file", "task"))
        if serialization not in FORMATS[runtime] or task not in get_args(Task):
            raise ValueError(f"runtime {runtime}, serialization {serialization}, task {task}")
        if not FILE.fullmatch(file):
            raise ValueError(f"file {file}")
        return ModelSpec(
            runtime=runtime,
            file=file,
            serialization=serialization,
            features=_features(given["features"]),
            task=task,
            classes=tuple(_text(label) for label in given["classes"]),
            tolerance=_tolerance(**given["tolerance"]),
            libraries=tuple((_name(name), _text(version)) for name, version in given["libraries"]),
            why=_text(given.get("why", "")),
            output=_text(given.get("output", "")),
            categories=tuple(
                Categories(name=one["name"], values=tuple(one["values"])) for one in given.get("categories", ())
            ),
            prepare=_text(given.get("prepare", "")),
            prepared=_features(given.get("prepared", ())),
            nan_texts=bool(given.get("nan_texts", False)),
        )


def _features(given: Iterable[Mapping[str, Any]]) -> tuple[Feature, ...]:
    return tuple(Feature(**{**one, "name": _name(one["name"]), "type": _text(one["type"])}) for one in given)


def _tolerance(*, ulps: int, relative: float) -> Tolerance:
    if type(ulps) is not int or ulps < 0 or not math.isfinite(relative) or relative < 0:
        raise ValueError(f"tolerance {ulps}, {relative}")
    return Tolerance(ulps=ulps, relative=relative)


def _name(given: Any) -> str:
    name = _text(given)
    if not name:
        raise ValueError("a name is empty")
    return name


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r} is no text")
    return given


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """Columns of the wide table with a sample of their values, and what the model itself reads of the sample."""

    features: tuple[Feature, ...]
    sample: pa.RecordBatch
    model_features: tuple[Feature, ...]
    model_sample: pa.RecordBatch
    categories: tuple[Categories, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What a runtime wrote for a model, and what comes out of it; `flavor` is what MLflow's own loader needs."""

    file: str
    serialization: str
    classes: tuple[str, ...]
    tolerance: Tolerance
    libraries: tuple[str, ...]
    output: str = ""
    categories: tuple[Categories, ...] = ()
    flavor: tuple[str, dict[str, Any]] | None = None
    nan_texts: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Outputs:
    """One score per row, in the rows' order, and the place of its label in `names`; -1 where it has none."""

    score: npt.NDArray[np.float64]
    label: npt.NDArray[np.integer]
    names: tuple[str, ...] = ()


# What a runtime's `load(folder, spec)` returns; called once per block of rows, it may raise on any of them.
Predict: TypeAlias = Callable[[pa.RecordBatch], Outputs]


@dataclass(frozen=True, kw_only=True, eq=False)
class RowByRow:
    """A model whose bits depend on the row alone, not on how many stand beside it: it takes any number at once."""

    predict: Predict

    def __call__(self, batch: pa.RecordBatch) -> Outputs:
        return self.predict(batch)


def placed(label: npt.NDArray[np.integer], names: Sequence[str], *, among: Sequence[str]) -> npt.NDArray[np.integer]:
    """The places of labels among other names; -1 for none, and for one that is not among them."""
    if list(names) == list(among):
        return label
    places = [among.index(name) if name in among else -1 for name in names]
    found: npt.NDArray[np.integer] = np.array([*places, -1])[label]
    return found


def scattered(parts: Sequence[Outputs], places: Sequence[npt.NDArray[np.intp]]) -> Outputs:
    """The outputs of rows that were asked for in parts, of each part its first rows, at their places."""
    names = tuple(dict.fromkeys(name for one in parts for name in one.names))
    rows = sum(map(len, places))
    score, label = np.empty(rows), np.empty(rows, dtype=int)
    for one, at in zip(parts, places, strict=True):
        score[at], label[at] = one.score[: len(at)], placed(one.label, one.names, among=names)[: len(at)]
    return Outputs(score=score, label=label, names=names)


def task_of(classes: tuple[str, ...]) -> Task:
    return "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"


def outputs_of(shares: npt.NDArray[np.float64], classes: tuple[str, ...]) -> Outputs:
    """Outputs from one probability per class: the class of the greatest, the first of equal ones, is the label."""
    score = shares[:, 1] if len(classes) == 2 else shares.max(axis=1)
    label = shares[:, 1] > shares[:, 0] if len(classes) == 2 else shares.argmax(axis=1)
    return Outputs(score=score, label=label.astype(np.int32), names=classes)


def unlabelled(score: npt.NDArray[np.float64]) -> Outputs:
    """The outputs of a regression."""
    return Outputs(score=score, label=np.full(len(score), -1))


def labelled(score: npt.NDArray[np.float64], texts: Iterable[str | None]) -> Outputs:
    """Outputs with labels as the model says them, None for none."""
    places: dict[str, int] = {}
    label = np.array([-1 if text is None else places.setdefault(text, len(places)) for text in texts], dtype=int)
    return Outputs(score=score, label=label, names=tuple(places))
