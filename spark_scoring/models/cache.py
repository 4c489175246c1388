"""Models in a worker process: unpacked and loaded once, kept by digest within a budget of bytes."""

import importlib
import io
import os
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Collection
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
STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """The memory of this process; 0 where the system does not tell it in this way."""
    if not STATM.exists():
        return 0
    return int(STATM.read_text("utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(kw_only=True)
class ModelCache:
    """Loaded models, the ones used longest ago given up first; those in `wanted` are kept whatever their size.

    A model counts with its files or with what the process grew by when it was loaded, whichever is more.
    """

    budget_bytes: int
    used_bytes: Callable[[], int] = resident_bytes
    loaded: OrderedDict[str, tuple[Predict, int]] = field(default_factory=OrderedDict)

    def get(
        self, digest: str, *, spec: ModelSpec, archive: Callable[[], bytes], wanted: Collection[str] = ()
    ) -> Predict:
        """The model of this digest; `archive` is asked for its zip only if it is not loaded yet."""
        if digest not in self.loaded:
            content = archive()
            self._make_room(len(content), wanted=wanted)
            before = self.used_bytes()
            predict = unpack_and_load(content, spec=spec)
            self.loaded[digest] = (predict, max(len(content), self.used_bytes() - before))
            self._make_room(0, wanted={*wanted, digest})
        self.loaded.move_to_end(digest)
        return self.loaded[digest][0]

    def _make_room(self, size_bytes: int, *, wanted: Collection[str]) -> None:
        for digest in [one for one in self.loaded if one not in wanted]:
            if size_bytes + sum(size for _, size in self.loaded.values()) <= self.budget_bytes:
                return
            del self.loaded[digest]


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
    return before(predict, code=code, spec=spec)


def runtime_of(name: str) -> Any:
    """The module of a runtime: `input_names(model)`, `save(model, folder, …)`, `load(folder, spec)`.

    Raises: ConfigError: its library is not installed.
    """
    check_installed(name)
    return importlib.import_module(RUNTIMES[name])


# The one mutable thing of a worker process: Spark keeps the process from task to task and batch to batch.
CACHE = ModelCache(budget_bytes=BUDGET_BYTES)
