"""Every runtime says what its library says, on one thread, whatever is null, unknown or new."""

import io
import subprocess
import sys
import zipfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import jpype.config
import lightgbm
import mlflow
import numpy as np
import onnxruntime
import pandas as pd
import pyarrow as pa
import pytest
import xgboost
from models_data import bits, wide_rows
from runtime_models import (
    PMML,
    SAMPLE,
    Lazy,
    Twice,
    cast_onnx,
    native_frame,
    onnx_of,
    packaged,
    pmml_of,
    scored,
    slip_in,
    target,
    unnamed_onnx,
)

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.models import flavor, pmml
from spark_scoring.models import lightgbm as lightgbm_runtime
from spark_scoring.models.blocks import score_blocks
from spark_scoring.models.contract import Categories, Feature, ModelSpec
from spark_scoring.models.frames import spark_type, to_pandas
from spark_scoring.models.libraries import NEEDED
from spark_scoring.models.loaded import load_package
from spark_scoring.models.matrix import numbers
from spark_scoring.models.package import Package, archive_of, read_package
from spark_scoring.spec.wide import WideTable

ROWS = wide_rows(3000, seed=8)


def lgbm(kind: Any, classes: int, **options: Any) -> Any:
    frame = native_frame(SAMPLE)
    return kind(n_estimators=15, verbose=-1, min_child_samples=5, n_jobs=2, **options).fit(
        frame, target(SAMPLE, classes)
    )


def xgb(kind: Any, classes: int, **options: Any) -> Any:
    frame = native_frame(SAMPLE)
    wanted = pd.factorize(target(SAMPLE, classes), sort=True)[0] if classes else target(SAMPLE, 0)
    return kind(n_estimators=15, enable_categorical=True, max_cat_to_onehot=1, n_jobs=2, **options).fit(frame, wanted)


def expected_of(model: Any, frame: pd.DataFrame, classes: int) -> tuple[list[bytes], list[str | None]]:
    """Score and label as the wrapper's own methods give them."""
    if not classes:
        return bits(model.predict(frame)), [None] * len(frame)
    shares = model.predict_proba(frame)
    score = shares[:, 1] if classes == 2 else shares.max(axis=1)
    return bits(score), [str(one) for one in model.predict(frame).tolist()]


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_trees_with_nulls_and_categories(library: str, classes: int, tmp_path: Path) -> None:
    kinds = {
        "lightgbm": (lgbm, lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor),
        "xgboost": (xgb, xgboost.XGBClassifier if classes else xgboost.XGBRegressor),
    }
    fit, kind = kinds[library]
    model = fit(kind, classes)
    package = packaged(model, tmp_path, sample=native_frame(SAMPLE))
    found = scored(package, ROWS)
    score, label = expected_of(model, native_frame(ROWS), classes)
    assert (bits(found["score"]), found["label"].tolist()) == (score, label)
    assert (package.runtime, package.task) == (library, {0: "regression", 2: "binary", 3: "multiclass"}[classes])


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_an_unknown_category_is_missing(library: str, tmp_path: Path) -> None:
    model = lgbm(lightgbm.LGBMClassifier, 2) if library == "lightgbm" else xgb(xgboost.XGBClassifier, 2)
    package = packaged(model, tmp_path, sample=native_frame(SAMPLE))
    strange = ROWS.set_column(ROWS.schema.get_field_index("carrier"), "carrier", pa.array(["never seen"] * len(ROWS)))
    missing = ROWS.set_column(ROWS.schema.get_field_index("carrier"), "carrier", pa.nulls(len(ROWS), pa.string()))
    assert bits(scored(package, strange)["score"]) == bits(scored(package, missing)["score"])
    assert not scored(package, strange)["score"].isna().any()


@pytest.mark.parametrize("suffix", [".txt", ".lgb", ".ubj", ".json"])
def test_a_file_is_a_model_too(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"model{suffix}"
    frame = native_frame(SAMPLE)[["distance", "seats"]]
    if suffix in (".txt", ".lgb"):
        data = lightgbm.Dataset(frame, target(SAMPLE, 2) == "class 1")
        model: Any = lightgbm.train({"objective": "binary", "verbose": -1}, data, num_boost_round=5)
        model.save_model(file)
        expected = model.predict(native_frame(ROWS)[["distance", "seats"]])
    else:
        matrix = xgboost.DMatrix(frame, target(SAMPLE, 2) == "class 1")
        model = xgboost.train({"objective": "binary:logistic"}, matrix, num_boost_round=5)
        model.save_model(file)
        expected = model.predict(xgboost.DMatrix(native_frame(ROWS)[["distance", "seats"]]))
    package = packaged(file, tmp_path)
    assert bits(scored(package, ROWS)["score"]) == bits(expected)
    assert (package.classes, "the file is" in package.spec.why) == (("0", "1"), True)


@pytest.mark.parametrize("booster", ["gbtree", "gblinear"])
def test_early_stopping_is_kept(booster: str, tmp_path: Path) -> None:
    frame, wanted = native_frame(SAMPLE)[["distance", "seats"]].fillna(0), target(SAMPLE, 2) == "class 1"
    model = xgboost.XGBClassifier(n_estimators=80, booster=booster, early_stopping_rounds=2)
    model.fit(frame[:200], wanted[:200], eval_set=[(frame[200:], ~wanted[200:])], verbose=False)
    package = packaged(model, tmp_path)
    rows = ROWS.slice(0, 1024)  # the sums of lines depend on the number of rows
    asked = native_frame(rows)[["distance", "seats"]]
    assert bits(scored(package, rows)["score"]) == bits(model.predict_proba(asked)[:, 1])


@pytest.mark.parametrize("objective", ["multi:softmax", "reg:squarederror", "count:poisson", "gblinear"])
def test_what_comes_out_follows_from_the_objective(objective: str, tmp_path: Path) -> None:
    frame = native_frame(SAMPLE)[["distance", "seats"]].fillna(0)
    wanted = pd.factorize(target(SAMPLE, 3), sort=True)[0]
    parameters: dict[str, Any] = {"objective": objective, "num_class": 3} if "multi" in objective else {}
    parameters |= {"booster": "gblinear"} if objective == "gblinear" else {"objective": objective}
    model = xgboost.train(parameters, xgboost.DMatrix(frame, wanted), num_boost_round=3)
    found = scored(packaged(model, tmp_path), ROWS.slice(0, 300))
    asked = xgboost.DMatrix(native_frame(ROWS.slice(0, 300))[["distance", "seats"]])
    if "multi" in objective:
        assert found["label"].tolist() == [str(int(one)) for one in model.predict(asked)]
    else:
        assert bits(found["score"]) == bits(model.predict(asked))


def test_names_outside_ascii_need_the_dtype_of_the_training(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'carrier': XGBoost keeps names of categories outside ASCII cut short"):
        packaged(xgb(xgboost.XGBClassifier, 2), tmp_path, sample=SAMPLE)


def test_a_classifier_without_probabilities(tmp_path: Path) -> None:
    model = lgbm(lightgbm.LGBMClassifier, 2, objective=lambda truth, found: (found - truth, np.ones_like(found)))
    with pytest.raises(ConfigError, match="gives no probabilities"):
        packaged(model, tmp_path)


@pytest.mark.parametrize("missing", [-999.0, 0])
def test_a_sentinel_of_the_wrapper_is_refused(missing: float, tmp_path: Path) -> None:
    model = xgb(xgboost.XGBClassifier, 2, missing=missing)
    with pytest.raises(ConfigError, match=rf"it takes {missing} for missing.*nullif\(x, {missing}\)"):
        packaged(model, tmp_path, sample=native_frame(SAMPLE))


@pytest.mark.parametrize(("precision", "scale"), [(10, 2), (18, 6), (20, 20), (38, 0), (38, 10), (38, 37)])
def test_a_decimal_is_the_double_nearest_to_it(precision: int, scale: int) -> None:
    random = Random(precision + scale)
    whole = [random.choice((1, -1)) * random.randrange(10 ** random.randint(1, precision)) for _ in range(5000)]
    values = [*(Decimal(one).scaleb(-scale) for one in whole), Decimal(0), None]
    column = pa.array(values, pa.decimal128(precision, scale))
    expected = [float("nan" if one is None else one) for one in values]
    assert bits(numbers(column)) == bits(expected)
    assert bits(one for one in pmml._plain(column) if one is not None) == bits(expected[:-1])


def test_a_wrapper_that_leaves_out_trees_is_refused(tmp_path: Path) -> None:
    model = lgbm(lightgbm.LGBMClassifier, 2, pred_early_stop=True, pred_early_stop_freq=2, pred_early_stop_margin=0.1)
    with pytest.raises(ConfigError, match=r"with pred_early_stop it leaves out trees.*Set pred_early_stop=False"):
        packaged(model, tmp_path, sample=native_frame(SAMPLE))
    model.set_params(pred_early_stop=False)
    found = scored(packaged(model, tmp_path, sample=native_frame(SAMPLE)), ROWS)
    assert bits(found["score"]) == bits(model.predict_proba(native_frame(ROWS))[:, 1])


def test_a_model_of_a_matrix_needs_names(tmp_path: Path) -> None:
    numbers = native_frame(SAMPLE)[["distance", "seats"]].to_numpy()
    model = lightgbm.train({"verbose": -1}, lightgbm.Dataset(numbers, numbers[:, 1]), num_boost_round=3)
    with pytest.raises(ConfigError, match="does not name the columns"):
        packaged(model, tmp_path)
    package = packaged(model, tmp_path, features=["distance", "seats"])
    assert bits(scored(package, ROWS)["score"]) == bits(model.predict(native_frame(ROWS)[["distance", "seats"]]))


def test_a_column_that_is_no_number(tmp_path: Path) -> None:
    numbers = native_frame(SAMPLE)[["distance", "seats"]].to_numpy()
    model = lightgbm.train({"verbose": -1}, lightgbm.Dataset(numbers, numbers[:, 1]), num_boost_round=3)
    with pytest.raises(ConfigError, match="column 'at' is timestamp, and the lightgbm model wants a number"):
        packaged(model, tmp_path, features=["distance", "at"])


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("zipmap", [True, False])
def test_onnx(classes: int, zipmap: bool, tmp_path: Path) -> None:
    model, names = onnx_of(classes, zipmap=zipmap)
    package = packaged(model, tmp_path, features=names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    block = ROWS.slice(0, 1024)
    asked = native_frame(block)[list(names)].fillna(0).to_numpy(dtype=np.float32)
    filled = block.set_column(2, "distance", pa.array(asked[:, 0].astype(float)))
    filled = filled.set_column(3, "seats", pa.array(asked[:, 1].astype(int)))
    answers = session.run(None, {session.get_inputs()[0].name: asked})
    found = scored(package, filled)
    if not classes:
        assert bits(found["score"]) == bits(answers[0][:, 0])
        return
    shares = np.array([list(one.values()) for one in answers[1]] if zipmap else answers[1])
    assert bits(found["score"]) == bits(shares[:, 1] if classes == 2 else shares.max(axis=1))
    assert found["label"].tolist() == [str(one) for one in answers[0]]
    assert package.classes == tuple(f"class {number}" for number in range(classes))


def test_onnx_takes_a_column_each_and_texts(tmp_path: Path) -> None:
    model, native = unnamed_onnx()
    package = packaged(model, tmp_path)
    assert [feature.name for feature in package.features] == ["distance", "carrier"]
    found = scored(package, ROWS.slice(0, 500))
    frame = native_frame(ROWS.slice(0, 500))
    good = frame["carrier"].notna() & frame["distance"].notna()
    expected = native.predict_proba(frame.loc[good, ["distance", "carrier"]].astype({"carrier": object}))[:, 1]
    assert np.allclose(found.loc[good, "score"], expected, rtol=1e-5)
    assert found.loc[frame["carrier"].isna(), "score"].isna().all()


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("column", "kind", "values", "held"),
    [
        (pa.float64(), "INT64", [1.0, -3.0, -(2.0**63), 0.0, 1.7, -0.5, NAN, INF, -INF, 1e300, 2.0**63, None], 4),
        (pa.float64(), "INT32", [1.0, -(2.0**31), 2.0**31 - 1, 2.0**31, 0.5, None], 3),
        (pa.float64(), "BOOL", [0.0, 1.0, -0.0, 0.5, 2.0, -1.0, NAN, None], 3),
        (pa.float32(), "INT64", [1.0, 2.0**40, 1.5, 2.0**63, NAN, None], 2),
        (pa.int64(), "INT64", [1, 2**53 + 1, -(2**63), 2**63 - 1, None], 4),
        (pa.int64(), "INT32", [1, -(2**31), 2**31, 2**32 + 5, None], 2),
        (pa.int64(), "BOOL", [0, 1, 2, -1, None], 2),
        (pa.bool_(), "BOOL", [True, False, None], 2),
        (pa.bool_(), "INT64", [True, False, None], 2),
        (pa.decimal128(38, 2), "INT64", [Decimal("7.00"), Decimal("7.01"), Decimal(10) ** 35, None], 1),
    ],
)
def test_a_value_that_an_onnx_tensor_does_not_hold(
    column: pa.DataType, kind: str, values: list[Any], held: int, tmp_path: Path
) -> None:
    from onnx import TensorProto

    wide = WideTable.unpack({
        "name": "w", "rows": {
            "key": ["id"], "time": "at",
            "columns": {"id": "string not null", "at": "timestamp not null", "x": spark_type(column)},
        },
    })  # fmt: skip
    sample = SAMPLE.select(["id", "at"]).append_column("x", pa.array([1, 0] * 200).cast(pa.int8()).cast(column))
    flavor.save_model(cast_onnx(getattr(TensorProto, kind)), tmp_path / "made", wide=wide, sample=sample)
    predict = load_package(read_package(tmp_path / "made", uri="made")).score
    found = score_blocks(
        pa.record_batch({"x": pa.array(values, column, from_pandas=False)}), predict=predict, framed=()
    )
    assert found.score[:held].tolist() == [float(np.float32(value)) for value in values[:held]]
    assert [str(reason) for reason in found.reason[held:]] == ["NOT_FINITE"] * (len(values) - held)


def test_pmml(tmp_path: Path) -> None:
    file, native = pmml_of(tmp_path)
    package = packaged(file, tmp_path)
    found = scored(package, ROWS.slice(0, 500))
    frame = native_frame(ROWS.slice(0, 500))
    share = native(frame)
    assert np.allclose(found["score"], share, rtol=1e-12, equal_nan=True)
    assert found["label"].dropna().tolist() == ["yes" if one > 0.5 else "no" for one in share if one == one]
    assert found["score"].isna().tolist() == frame["seats"].isna().tolist()
    assert (package.runtime, package.classes) == ("pmml", ("no", "yes"))
    assert not jpype.config.onexit  # or one process in six ends by SIGSEGV


def test_pmml_that_names_other_files(tmp_path: Path) -> None:
    (tmp_path / "model.pmml").write_text(PMML.replace("<PMML", "<!DOCTYPE x SYSTEM 'file:///etc/hostname'>\n<PMML", 1))
    with pytest.raises(RunError, match="it declares a document type"):
        packaged(tmp_path / "model.pmml", tmp_path)


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


def test_onnx_weights_outside_of_the_graph_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnx import TensorProto, helper, numpy_helper, save_model

    nodes = [
        helper.make_node("ArgMax", ["x"], ["i"], axis=1, keepdims=1),
        helper.make_node("Gather", ["w", "i"], ["z"]),
        helper.make_node("ReduceSum", ["z", "axis"], ["y"], keepdims=0),
    ]
    weights = [numpy_helper.from_array(np.ones((100_000, 1), np.float32), "w")]
    weights.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    save_model(model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=1024)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"it keeps weights in files beside it\. Save it as one file"):
        packaged(tmp_path / "m.onnx", tmp_path, features=["distance", "seats"])


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
