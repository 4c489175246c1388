"""Every runtime in real workers: packaged, resolved and scored beside the others in one pass."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
import runtime_models
from lightgbm import LGBMClassifier
from models_data import WIDE, bits, fitted, wide_rows
from pyspark.sql import SparkSession
from runtime_models import SAMPLE, Twice, native_frame, onnx_of, pmml_of, scored, target
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier

from spark_scoring.errors import RunError
from spark_scoring.models import flavor
from spark_scoring.models.golden import check_golden
from spark_scoring.models.package import Package, digest_of
from spark_scoring.models.udf import ScoredModel, score_rows

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
ROWS = wide_rows(600, seed=21)
CODE = "def prepare(frame):\n    return frame.assign(double=frame['seats'] * 2)\n"


@pytest.fixture(scope="module", autouse=True)
def own_classes_travel() -> Iterator[None]:
    """Workers cannot import the tests."""
    cloudpickle.register_pickle_by_value(runtime_models)
    yield
    cloudpickle.unregister_pickle_by_value(runtime_models)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    folder = tmp_path_factory.mktemp("runtimes")
    frame, wanted = native_frame(SAMPLE), (target(SAMPLE, 2) == "class 1").astype(int)
    (folder / "features.py").write_text(CODE)
    doubled = pd.DataFrame({"double": frame["seats"] * 2}).fillna(0)
    models: dict[str, tuple[Any, dict[str, Any]]] = {
        "sklearn": (fitted(LogisticRegression(), SAMPLE), {}),
        "lightgbm": (LGBMClassifier(n_estimators=5, verbose=-1).fit(frame, wanted), {}),
        "xgboost": (
            XGBClassifier(n_estimators=5, enable_categorical=True).fit(frame, wanted),
            {"sample": frame},
        ),
        "onnx": (onnx_of(3, zipmap=True)[0], {"features": ["distance", "seats"]}),
        "pmml": (pmml_of(folder)[0], {}),
        "pyfunc": (Twice(), {"features": ["seats"], "score_output": "twice"}),
        "prepared": (
            LGBMClassifier(n_estimators=5, verbose=-1).fit(doubled, wanted),
            {"prepare": f"{folder}/features.py:prepare"},
        ),
    }
    registry = f"sqlite:///{folder}/mlflow.db"
    return {
        name: flavor.package(model, **{"wide": WIDE, "sample": SAMPLE, "name": name, "registry": registry} | options)
        for name, (model, options) in models.items()
    }


def test_every_runtime_in_one_pass(spark: SparkSession, packages: dict[str, Package]) -> None:
    assert {package.runtime for package in packages.values()} == set(packages) - {"prepared"}
    models = [ScoredModel(role=name, package=package) for name, package in packages.items()]
    rows = score_rows(spark.createDataFrame(ROWS).repartition(3, "id"), models).select("id", "scores").collect()
    by_id = {row["id"]: row["scores"] for row in rows}
    for place, package in enumerate(packages.values()):
        found = [by_id[key][place] for key in ROWS["id"].to_pylist()]
        expected = scored(package, ROWS)
        score = [math.nan if entry["score"] is None else entry["score"] for entry in found]
        assert (package.name, bits(score)) == (package.name, bits(expected["score"]))
        assert [entry["label"] for entry in found] == expected["label"].tolist()


def test_golden_samples_hold_in_the_workers(spark: SparkSession, packages: dict[str, Package]) -> None:
    for package in packages.values():
        check_golden(spark, package)


def test_a_model_that_the_workers_cannot_load(
    spark: SparkSession, packages: dict[str, Package], tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(packages["lightgbm"].path, tmp_path / "copy"))
    (copy / "model.lgb").write_text("no model")
    broken = replace(packages["lightgbm"], path=copy, digest=digest_of(copy))
    with pytest.raises(RunError, match="the workers cannot load the model: LightGBMError"):
        check_golden(spark, broken)
