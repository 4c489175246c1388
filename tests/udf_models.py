"""Five fitted models and their packages, which `tests/conftest.py` makes once, and their scores in Spark."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
from models_data import WIDE, fitted, wide_rows
from pyspark.sql import DataFrame
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from spark_scoring.models import flavor
from spark_scoring.models.package import Package, read_package

ROWS = wide_rows(3000, seed=5)
SAMPLE = ROWS.slice(0, 400)
ESTIMATORS = {
    "trees": HistGradientBoostingClassifier(max_iter=10),
    "forest": RandomForestClassifier(20, random_state=0, n_jobs=2),
    "logistic": LogisticRegression(),
    "three": LogisticRegression(),
    "line": LinearRegression(),
}
CLASSES = {"three": 3, "line": 0}


@contextmanager
def pickled_by_value(*modules: ModuleType) -> Iterator[None]:
    """Workers cannot import the tests: estimators defined in these are pickled with their code."""
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)


def fitted_models() -> dict[str, Any]:
    return {name: fitted(estimator, SAMPLE, classes=CLASSES.get(name, 2)) for name, estimator in ESTIMATORS.items()}


def made(model: Any, folder: Path) -> Package:
    flavor.save_model(model, folder, wide=WIDE, sample=SAMPLE)
    return read_package(folder, uri=str(folder), name=folder.name, version="1")


def entries(scored: DataFrame) -> dict[str, list[dict[str, Any]]]:
    return {
        row["id"]: [entry and entry.asDict() for entry in row["scores"]]
        for row in scored.select("id", "scores").collect()
    }
