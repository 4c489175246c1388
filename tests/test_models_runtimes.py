"""Every runtime says what its library says, on one thread, and what it needs is named."""

import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random

import lightgbm
import mlflow
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import xgboost
from models_data import bits
from runtime_models import (
    ROWS,
    SAMPLE,
    Lazy,
    Twice,
    Unlabelled,
    lgbm,
    native_frame,
    onnx_of,
    packaged,
    scored,
    slip_in,
    target,
    xgb,
)

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.models import lightgbm as lightgbm_runtime
from spark_scoring.models import pmml
from spark_scoring.models.contract import Categories, Feature, ModelSpec
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.libraries import NEEDED
from spark_scoring.models.loaded import load_package
from spark_scoring.models.matrix import numbers
from spark_scoring.models.package import Package, archive_of, read_package


@pytest.mark.parametrize(("precision", "scale"), [(10, 2), (18, 6), (20, 20), (38, 0), (38, 10), (38, 37)])
def test_a_decimal_is_the_double_nearest_to_it(precision: int, scale: int) -> None:
    random = Random(precision + scale)
    whole = [random.choice((1, -1)) * random.randrange(10 ** random.randint(1, precision)) for _ in range(5000)]
    values = [*(Decimal(one).scaleb(-scale) for one in whole), Decimal(0), None]
    column = pa.array(values, pa.decimal128(precision, scale))
    expected = [float("nan" if one is None else one) for one in values]
    assert bits(numbers(column)) == bits(expected)
    assert bits(one for one in pmml._plain(column) if one is not None) == bits(expected[:-1])


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_pyfunc(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"which output is the score. There are: twice, half"):
        packaged(Twice(), tmp_path, features=["seats"])
    package = packaged(Twice(), tmp_path, features=["seats"], score_output="half")
    found = scored(package, ROWS)
    seats = native_frame(ROWS)["seats"].fillna(0)
    assert found["score"].tolist() == (seats / 2).tolist()
    assert found["label"].tolist() == np.where(seats > 100, "big", "small").tolist()
    assert package.classes == ("big", "small")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_a_pyfunc_keeps_labels_that_its_sample_did_not_show(tmp_path: Path) -> None:
    small = SAMPLE.filter(pc.less_equal(SAMPLE["seats"], 100).fill_null(True))
    package = packaged(Twice(), tmp_path, features=["seats"], score_output="half", sample=small)
    assert package.classes == ("small",)
    seats = native_frame(ROWS)["seats"].fillna(0)
    assert scored(package, ROWS)["label"].tolist() == np.where(seats > 100, "big", "small").tolist()


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_a_pyfunc_whose_labels_are_null_in_the_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'label' that is null for every row of the sample"):
        packaged(Unlabelled(), tmp_path, features=["seats"], score_output="half")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_byte_code_in_a_pyfunc_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = tmp_path / "helper_of_lazy.py"
    helper.write_text("FACTOR = 3.0\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    mlflow.pyfunc.save_model(
        tmp_path / "plain", python_model=Lazy(), code_paths=[str(helper)], pip_requirements=[],
        input_example=native_frame(SAMPLE)[["seats"]],
    )  # fmt: skip
    package = packaged(tmp_path / "plain", tmp_path)
    slip_in(package.path / "pyfunc" / "code" / helper.name, "FACTOR = 666.0\n")
    assert read_package(package.path, uri="x").digest == package.digest
    names = zipfile.ZipFile(io.BytesIO(archive_of(package))).namelist()
    assert "pyfunc/code/helper_of_lazy.py" in names and not [name for name in names if "__pycache__" in name]
    monkeypatch.delitem(sys.modules, "helper_of_lazy", raising=False)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(tmp_path)])
    loaded = load_package(package)
    assert loaded.predict(to_pandas(SAMPLE))["score"].max() < 666


def test_a_pipeline_of_both_libraries_is_a_scikit_learn_model(tmp_path: Path) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().set_output(transform="pandas")
    model = make_pipeline(scale, lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=2))
    model.fit(native_frame(SAMPLE)[["distance", "seats"]], target(SAMPLE, 2))
    package = packaged(model, tmp_path)
    asked = native_frame(ROWS)[["distance", "seats"]]
    assert bits(scored(package, ROWS)["score"]) == bits(model.predict_proba(asked)[:, 1])
    assert (package.runtime, "lightgbm" in dict(package.libraries)) == ("sklearn", True)


def test_another_model_than_the_contract_says(tmp_path: Path) -> None:
    package = packaged(lgbm(lightgbm.LGBMClassifier, 2), tmp_path)
    turned = (package.features[1], package.features[0], *package.features[2:])
    with pytest.raises(
        RunError, match="the model reads distance, seats, carrier, and its package says seats, distance"
    ):
        lightgbm_runtime.load(package.path, replace(package.spec, features=turned))


@pytest.mark.parametrize("runtime", ["lightgbm", "xgboost", "onnx", "pmml"])
def test_a_missing_library_says_what_to_install(runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / {"lightgbm": "m.txt", "xgboost": "m.ubj", "onnx": "m.onnx", "pmml": "m.pmml"}[runtime]
    file.touch()
    monkeypatch.setitem(sys.modules, NEEDED[runtime][0], None)
    with pytest.raises(ConfigError, match=rf"pip install 'spark-scoring\[{runtime}\]'"):
        packaged(file, tmp_path)


def test_the_spec_survives_writing_and_old_ones_are_read() -> None:
    spec = ModelSpec(
        runtime="xgboost", file="model.ubj", serialization="xgboost ubj", task="binary",
        features=(Feature(name="a", type="string"),), classes=("0", "1"), libraries=(("xgboost", "3"),), why="w",
        tolerance=lightgbm_runtime.Tolerance(ulps=2),
        categories=(Categories(name="a", values=("x", "Ü")),), prepare="p", prepared=(Feature(name="b", type="int"),),
    )  # fmt: skip
    import json

    written = json.loads(spec.dump())
    assert ModelSpec.unpack(written) == spec
    old = {
        key: value
        for key, value in written.items()
        if key not in ("why", "output", "categories", "prepare", "prepared")
    }
    assert ModelSpec.unpack(old).inputs == spec.features


THREADS = """
import os, sys, time
from pathlib import Path

import pyarrow.parquet as pq

from spark_scoring.models.frames import spark_type, to_pandas
from spark_scoring.models.loaded import load_package
from spark_scoring.models.package import read_package

loaded = load_package(read_package(Path(sys.argv[1]), uri="x"))
frame = to_pandas(pq.read_table(loaded.package.golden))


def ticks():
    stats = {task: Path(f"/proc/self/task/{task}/stat").read_text() for task in os.listdir("/proc/self/task")}
    return {task: int(stat.rsplit(") ", 1)[1].split()[11]) for task, stat in stats.items()}


loaded.predict(frame)
start, end = ticks(), time.process_time() + 0.5
while time.process_time() < end:
    loaded.predict(frame)
print(sum(used - start.get(task, 0) > 5 for task, used in ticks().items()))
"""


@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "onnx"])
def test_one_thread_does_the_work(library: str, tmp_path: Path) -> None:
    made = {
        "lightgbm": lambda: packaged(lgbm(lightgbm.LGBMClassifier, 2), tmp_path),
        "xgboost": lambda: packaged(xgb(xgboost.XGBClassifier, 2), tmp_path, sample=native_frame(SAMPLE)),
        "onnx": lambda: packaged(onnx_of(2, zipmap=False)[0], tmp_path, features=["distance", "seats"]),
    }
    package: Package = made[library]()
    done = subprocess.run(
        [sys.executable, "-c", THREADS, str(package.path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
