"""Which runtime scores a model: told by the kind of object or file, and why."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spark_scoring.errors import SparkScoringError, comes_later, unknown_format, unreadable_file_of
from spark_scoring.models.uris import first_line

# the first part of a class's module -> runtime
LIBRARIES = {"lightgbm": "lightgbm", "xgboost": "xgboost", "onnx": "onnx"}
SUFFIXES = {
    ".onnx": ("onnx", "an ONNX graph"),
    ".txt": ("lightgbm", "LightGBM's text"),
    ".lgb": ("lightgbm", "LightGBM's text"),
    ".json": ("xgboost", "XGBoost's json"),
    ".ubj": ("xgboost", "XGBoost's ubj"),
    ".pmml": ("pmml", "PMML"),
}
PICKLES = (".joblib", ".pkl", ".pickle")
READ = (*SUFFIXES, ".skops", *PICKLES)
LATER = {
    ".keras": "Keras", ".h5": "Keras", ".hdf5": "Keras", ".pt": "PyTorch", ".pth": "PyTorch", ".pb": "TensorFlow",
    "keras": "Keras", "tensorflow": "TensorFlow", "torch": "PyTorch", "pyspark": "Spark ML", "catboost": "CatBoost",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Match:
    """The runtime of a model, and why it is this one."""

    runtime: str
    why: str


def matched(model: Any) -> Match:
    """The runtime for a fitted model, a file in a format of its own, or the folder of an MLflow pyfunc.

    Raises: ConfigError for a format that has no runtime, or none yet.
    """
    if isinstance(model, Path):
        return _matched_file(model)
    kind = type(model)
    library = kind.__module__.partition(".")[0]
    if library in LATER:
        raise comes_later(kind.__name__, library=LATER[library])
    if library in LIBRARIES:
        return Match(runtime=LIBRARIES[library], why=f"a {kind.__name__} of {library}")
    if _is_pyfunc(kind.__mro__):
        return Match(runtime="pyfunc", why=f"{kind.__name__} is a PythonModel of MLflow")
    return Match(runtime="sklearn", why=f"a fitted {kind.__name__}")


def _matched_file(path: Path) -> Match:
    if path.is_dir():
        return Match(runtime="pyfunc", why="an MLflow model that only its own code can load")
    if path.suffix.lower() not in SUFFIXES:
        raise unknown_format(str(path), allowed=SUFFIXES)
    runtime, what = SUFFIXES[path.suffix.lower()]
    return Match(runtime=runtime, why=f"the file is {what}")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Where a library reads a model from a file.

    Raises: ConfigError: the file holds no model of the format that its name says.
    """
    try:
        yield
    except SparkScoringError:
        raise
    except Exception as error:  # noqa: BLE001 - each library has errors of its own
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise unreadable_file_of(str(path), what=SUFFIXES[path.suffix.lower()][1], reason=reason) from None


def check_suffix(source: str) -> None:
    """Nothing, if a file of this name can hold a model.

    Raises: ConfigError that says what can, or that it comes later.
    """
    suffix = Path(source).suffix.lower()
    if suffix in LATER:
        raise comes_later(source, library=LATER[suffix])
    if suffix not in READ and not Path(source).is_dir():
        raise unknown_format(source, allowed=READ)


def _is_pyfunc(kinds: Sequence[type]) -> bool:
    return any(one.__module__.startswith("mlflow.pyfunc") for one in kinds)
