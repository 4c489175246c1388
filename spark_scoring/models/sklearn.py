"""The scikit-learn runtime: any fitted estimator or pipeline that names its input columns."""

import importlib
import importlib.metadata
import pickle
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from threadpoolctl import ThreadpoolController

from spark_scoring.errors import untrusted_model
from spark_scoring.models.contract import ModelSpec, Outputs, Predict
from spark_scoring.models.frames import to_pandas

LIBRARIES = ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow")
# Their predict is the class of greatest predict_proba, ties and last bits apart.
GREATEST_WINS = frozenset({
    "BaggingClassifier", "CalibratedClassifierCV", "DecisionTreeClassifier", "ExtraTreesClassifier",
    "GradientBoostingClassifier", "HistGradientBoostingClassifier", "LogisticRegression",
    "RandomForestClassifier",
})  # fmt: skip
NEAR_TIE = 1e-9


def load(folder: Path, spec: ModelSpec) -> Predict:
    """The function from a batch of feature columns to outputs, on one thread."""
    model = read_model(folder / spec.file, spec.serialization)
    one_thread(model)
    return partial(_predict, model=_Parts.of(model), classes=spec.classes, threads=ThreadpoolController())


def read_model(path: Path, serialization: str) -> Any:
    """The fitted estimator. A pickle runs code of whoever made it; a skops file cannot."""
    if serialization == "skops":
        import skops.io

        return skops.io.load(path, trusted=trusted_types(skops.io.get_untrusted_types(file=path), str(path)))
    with path.open("rb") as file:
        return pickle.load(file)


def trusted_types(names: Iterable[str], source: str) -> list[str]:
    """The names, if all are classes of scikit-learn or NumPy's dtype; functions are never trusted.

    The list that MLflow keeps in the model's own folder is not asked: who writes the model can write it too.
    """
    given = list(names)
    if refused := [name for name in given if not _is_known_class(name)]:
        raise untrusted_model(source, types=refused)
    return given


def _is_known_class(name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    if name == "numpy.dtype" or not module.startswith("sklearn."):
        return name == "numpy.dtype"
    try:
        return isinstance(getattr(importlib.import_module(module), attribute, None), type)
    except ImportError:
        return False


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """A pipeline's preparation and its last estimator, so that two questions cost one preparation."""

    prepare: Any
    last: Any

    @staticmethod
    def of(model: Any) -> "_Parts":
        from sklearn.pipeline import Pipeline

        if isinstance(model, Pipeline) and len(model.steps) > 1:
            return _Parts(prepare=model[:-1], last=model[-1])
        return _Parts(prepare=None, last=model)


def _predict(batch: pa.RecordBatch, *, model: _Parts, classes: tuple[str, ...], threads: Any) -> Outputs:
    with threads.limit(limits=1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # one line per block of rows would fill a worker's log
        frame = to_pandas(batch)
        inputs = frame if model.prepare is None else model.prepare.transform(frame)
        return _classified(model.last, inputs, classes) if classes else _regressed(model.last, inputs)


def _regressed(model: Any, inputs: pd.DataFrame) -> Outputs:
    score = np.asarray(model.predict(inputs), dtype=np.float64)
    score = score[:, 0] if score.ndim == 2 and score.shape[1] == 1 else score
    return Outputs(score=score, label=np.full(len(score), None, dtype=object))


def _classified(model: Any, inputs: pd.DataFrame, classes: tuple[str, ...]) -> Outputs:
    shares = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    score = shares[:, 1] if len(classes) == 2 else shares.max(axis=1)
    return Outputs(score=score, label=_labels(model, inputs, shares, classes))


def _labels(
    model: Any, inputs: pd.DataFrame, shares: npt.NDArray[np.float64], classes: tuple[str, ...]
) -> npt.NDArray[np.object_]:
    """What `predict` says, as text; asked only where the probabilities cannot tell."""
    best = np.partition(shares, -2, axis=1)[:, -2:]
    if _greatest_wins(model) and (best[:, 1] - best[:, 0] > NEAR_TIE).all():
        names: npt.NDArray[np.object_] = np.array(classes, dtype=object)[shares.argmax(axis=1)]
        return names
    texts = np.full(len(shares), None, dtype=object)
    texts[:] = [str(value) for value in np.asarray(model.predict(inputs)).tolist()]
    return texts


def _greatest_wins(model: Any) -> bool:
    # exactly these classes: a subclass may have its own predict
    return type(model).__module__.startswith("sklearn.") and type(model).__name__ in GREATEST_WINS


def one_thread(model: Any) -> None:
    """Set `n_jobs` to 1 on the estimator and all that it holds: a forest on two threads sums in any order."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, list | tuple):
            waiting.extend(part)
        elif isinstance(part, dict):
            waiting.extend(part.values())
        elif _is_estimator(part):
            if "n_jobs" in vars(part):
                part.n_jobs = 1
            waiting.extend(vars(part).values())


def _is_estimator(part: Any) -> bool:
    is_part_of_one = type(part).__module__.startswith("sklearn.") and hasattr(part, "__dict__")
    return not isinstance(part, type) and (hasattr(part, "get_params") or is_part_of_one)


def libraries() -> tuple[tuple[str, str], ...]:
    """Name and version of what the scores may depend on, as installed here."""
    return tuple((name, importlib.metadata.version(name)) for name in LIBRARIES)
