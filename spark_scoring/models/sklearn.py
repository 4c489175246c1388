"""The scikit-learn runtime: any fitted estimator or pipeline that names its input columns."""

import importlib
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from threadpoolctl import ThreadpoolController

from spark_scoring.errors import untrusted_model
from spark_scoring.models.contract import (
    Inputs,
    ModelSpec,
    Outputs,
    Predict,
    RowByRow,
    Saved,
    labelled,
    outputs_of,
    unlabelled,
)
from spark_scoring.models.decisions import decided, decisions, is_linear
from spark_scoring.models.describe import check_count, classes_of, inputs_of, knows_nan_texts, names_in, tolerance_of
from spark_scoring.models.frames import frame_of
from spark_scoring.models.libraries import version_of
from spark_scoring.models.matrix import check_names
from spark_scoring.models.rows import blocks_of, cell_by_cell, doubles, is_any_of, joined, reads_doubles, row_by_row

LIBRARIES = ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow")
# Their predict is the class of greatest predict_proba, ties and last bits apart.
GREATEST_WINS = frozenset({
    "BaggingClassifier", "CalibratedClassifierCV", "DecisionTreeClassifier", "ExtraTreesClassifier",
    "GradientBoostingClassifier", "HistGradientBoostingClassifier", "LogisticRegression",
    "RandomForestClassifier",
})  # fmt: skip
NEAR_TIE = 1e-9
# what outlier detectors say beside `predict`, which is 1 or -1
ANOMALY = ("decision_function", "score_samples")
# parts of scikit-learn's module names that hold no models, but what opens files and runs tests
NO_MODELS = frozenset({"externals", "tests", "conftest", "_testing", "datasets", "callback"})


def input_names(model: Any) -> tuple[str, ...]:
    """The columns that the model reads, in the order it learned them.

    Raises: ConfigError if it was fitted without column names.
    """
    return inputs_of(model)


def save(model: Any, folder: Path, *, inputs: Inputs, output: str | None) -> Saved:
    """Write the estimator with skops, which runs no code when it is read; as a pickle if it has own classes.

    Raises: ConfigError: the model gives no probabilities, knows one class, has several outputs, or reads another number
        of columns, or takes NaN for some missing texts and None for others.
    """
    check_count(model, [feature.name for feature in inputs.model_features])
    classes = classes_of(model)
    content, types = _skops(model)
    name = "cloudpickle" if content is None else "skops"
    file = "model.pkl" if content is None else "model.skops"
    (folder / file).write_bytes(cloudpickle.dumps(model) if content is None else content)
    conf = {
        "pickled_model": file, "sklearn_version": version_of("sklearn"), "serialization_format": name,
        "code": None, "skops_trusted_types": types,
    }  # fmt: skip
    return Saved(
        file=file,
        serialization=name,
        classes=classes,
        tolerance=tolerance_of(model),
        libraries=(*LIBRARIES, *_foreign(model), name),
        output=str(output) if output in ANOMALY and _says(model, output) else "",
        flavor=("sklearn", conf),
        nan_texts=knows_nan_texts(model, _parts(model)),
    )


def _says(model: Any, output: str) -> bool:
    """Whether the model is an outlier detector with this score."""
    from sklearn.base import is_outlier_detector

    return bool(is_outlier_detector(model)) and hasattr(model, output)


def _skops(model: Any) -> tuple[bytes | None, list[str]]:
    """The file and the types to trust in it; no file if the model needs a pickle."""
    import skops.io

    try:
        content = skops.io.dumps(model)
        return content, trusted_types(skops.io.get_untrusted_types(data=content), type(model).__name__)
    except Exception:  # noqa: BLE001 - skops raises whatever an unknown object makes it raise
        return None, []


def _foreign(model: Any) -> tuple[str, ...]:
    """Other libraries that parts of the model come from, such as lightgbm."""
    names = {type(part).__module__.partition(".")[0] for part in _parts(model)}
    return tuple(sorted(names & {"lightgbm", "xgboost", "catboost", "imblearn"}))


def load(folder: Path, spec: ModelSpec) -> Predict:
    """The function from a batch of feature columns to outputs, on one thread."""
    model = read_model(folder / spec.file, spec.serialization)
    one_thread(model)
    check_names(spec, names_in(model))
    parts = _Parts.of(model)
    predict = partial(_predict, model=parts, spec=spec, threads=ThreadpoolController())
    if not cell_by_cell(parts.prepare):
        return predict
    as_doubles = parts.prepare is None and reads_doubles(parts.last, spec.inputs)
    return RowByRow(predict=partial(predict, in_blocks=not row_by_row(parts.last), as_doubles=as_doubles))


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
    parts = module.split(".")
    if name == "numpy.dtype" or parts[0] != "sklearn" or NO_MODELS & set(parts):
        return name == "numpy.dtype"
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    # a module of scikit-learn also knows what it imports: functools.partial, operator.attrgetter, gzip.GzipFile
    return isinstance(found, type) and (found.__module__, found.__qualname__) == (module, attribute)


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


def _predict(
    batch: pa.RecordBatch,
    *,
    model: _Parts,
    spec: ModelSpec,
    threads: Any,
    in_blocks: bool = False,
    as_doubles: bool = False,
) -> Outputs:
    with threads.limit(limits=1), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # one line per block of rows would fill a worker's log
        frame = doubles(batch) if as_doubles else frame_of(batch, spec.inputs, nan_texts=spec.nan_texts)
        inputs = frame if model.prepare is None else model.prepare.transform(frame)
        if not in_blocks:
            return _asked(model.last, inputs, spec)
        if is_linear(model.last, inputs):
            return _asked(decided(model.last), decisions(model.last, inputs), spec)
        return joined([_asked(model.last, block, spec) for block in blocks_of(inputs)], rows=batch.num_rows)


def _asked(model: Any, inputs: Any, spec: ModelSpec) -> Outputs:
    if spec.classes:
        return _classified(model, inputs, spec.classes)
    return _regressed(getattr(model, spec.output or "predict"), inputs)


def _regressed(predict: Callable[[Any], Any], inputs: pd.DataFrame) -> Outputs:
    score = np.asarray(predict(inputs), dtype=np.float64)
    score = score[:, 0] if score.ndim == 2 and score.shape[1] == 1 else score
    return unlabelled(score)


def _classified(model: Any, inputs: pd.DataFrame, classes: tuple[str, ...]) -> Outputs:
    shares = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    outputs = outputs_of(shares, classes)
    if is_any_of(model, GREATEST_WINS) and _lead(shares) > NEAR_TIE:
        return outputs
    # the probabilities cannot tell what `predict` says
    return labelled(outputs.score, (str(value) for value in np.asarray(model.predict(inputs)).tolist()))


def _lead(shares: npt.NDArray[np.float64]) -> float:
    """By how much the greatest probability leads at least."""
    if shares.shape[1] == 2:
        return float(np.abs(shares[:, 1] - shares[:, 0]).min())
    best = np.partition(shares, -2, axis=1)
    return float((best[:, -1] - best[:, -2]).min())


def one_thread(model: Any) -> None:
    """Set `n_jobs` to 1 on the estimator and all that it holds: a forest on two threads sums in any order."""
    for part in _parts(model):
        if "n_jobs" in vars(part):
            part.n_jobs = 1
        if type(part).__module__.startswith("xgboost.") and hasattr(part, "get_booster"):
            part.get_booster().set_param({"nthread": 1})


def _parts(model: Any) -> Iterator[Any]:
    """The estimator and all estimators that it holds."""
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
            yield part
            waiting.extend(vars(part).values())


def _is_estimator(part: Any) -> bool:
    is_part_of_one = type(part).__module__.startswith("sklearn.") and hasattr(part, "__dict__")
    return not isinstance(part, type) and (hasattr(part, "get_params") or is_part_of_one)
