"""Models in a worker process: unpacked and loaded once, kept by digest within a budget of bytes."""

import importlib
import io
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spark_scoring.models.contract import ModelSpec, Predict
from spark_scoring.models.libraries import check_installed
from spark_scoring.models.prepare import FILE, FeatureCode, before

RUNTIMES = {
    "sklearn": "spark_scoring.models.sklearn",
    "lightgbm": "spark_scoring.models.lightgbm",
    "xgboost": "spark_scoring.models.xgboost",
    "onnx": "spark_scoring.models.onnx",
    "pmml": "spark_scoring.models.pmml",
    "pyfunc": "spark_scoring.models.pyfunc",
}
BUDGET_BYTES = 2**30


@dataclass(kw_only=True)
class ModelCache:
    """Loaded models, the ones used longest ago given up first; one model is kept whatever its size."""

    budget_bytes: int
    loaded: OrderedDict[str, tuple[Predict, int]] = field(default_factory=OrderedDict)

    def get(self, digest: str, *, spec: ModelSpec, archive: Callable[[], bytes]) -> Predict:
        """The model of this digest; `archive` is asked for its zip only if it is not loaded yet."""
        if digest not in self.loaded:
            content = archive()
            self._make_room(len(content))
            self.loaded[digest] = (unpack_and_load(content, spec=spec), len(content))
        self.loaded.move_to_end(digest)
        return self.loaded[digest][0]

    def _make_room(self, size_bytes: int) -> None:
        while self.loaded and size_bytes + sum(size for _, size in self.loaded.values()) > self.budget_bytes:
            self.loaded.popitem(last=False)


def unpack_and_load(content: bytes, *, spec: ModelSpec) -> Predict:
    """The model in a zip, by its runtime. Nothing stays on the worker's disk."""
    with tempfile.TemporaryDirectory(prefix="spark-scoring-") as folder:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(folder)
        return load_model_files(Path(folder), spec=spec)


def load_model_files(folder: Path, *, spec: ModelSpec) -> Predict:
    """The model in a folder, by its runtime, behind its feature code if it has any.

    Raises: ConfigError: a library is missing. RunError: the model does not fit its contract.
    """
    predict: Predict = runtime_of(spec.runtime).load(folder, spec)
    if not spec.prepare:
        return predict
    code = FeatureCode(path=folder / FILE, function=spec.prepare)
    return before(predict, code=code, features=spec.inputs)


def runtime_of(name: str) -> Any:
    """The module of a runtime: `input_names(model)`, `save(model, folder, …)`, `load(folder, spec)`.

    Raises: ConfigError: its library is not installed.
    """
    check_installed(name)
    return importlib.import_module(RUNTIMES[name])


# The one mutable thing of a worker process: Spark keeps the process from task to task and batch to batch.
CACHE = ModelCache(budget_bytes=BUDGET_BYTES)
