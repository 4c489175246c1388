"""A model from wherever users keep it, and what is none."""

import json
from pathlib import Path
from typing import Any

import joblib
import pytest
import skops.io
from lightgbm import LGBMClassifier
from models_data import bits
from runtime_models import SAMPLE, Twice, packaged, target
from source_models import LINE, NUMBERS, read
from xgboost import XGBClassifier

from spark_scoring.errors import ConfigError
from spark_scoring.models.match import matched
from spark_scoring.models.package import described, library_differences
from spark_scoring.models.registry import quiet

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.mark.parametrize("suffix", [".joblib", ".pkl"])
def test_a_pickle_needs_trust(suffix: str, tmp_path: Path) -> None:
    joblib.dump(LINE, tmp_path / f"m{suffix}")
    with pytest.raises(ConfigError, match=r"a pickle, and reading it runs the code in it.*--trust"):
        read(tmp_path / f"m{suffix}", tmp_path)
    assert matched(read(tmp_path / f"m{suffix}", tmp_path, trust=True)).runtime == "sklearn"


def test_skops_needs_none(tmp_path: Path) -> None:
    skops.io.dump(LINE, tmp_path / "m.skops")
    assert bits(read(tmp_path / "m.skops", tmp_path)[-1].coef_[0]) == bits(LINE[-1].coef_[0])


@pytest.mark.parametrize(("name", "library"), [("m.keras", "Keras"), ("m.h5", "Keras"), ("m.pt", "PyTorch")])
def test_what_comes_later(name: str, library: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=f"there is no runtime for {library} yet"):
        read(tmp_path / name, tmp_path)


@pytest.mark.parametrize(
    ("name", "message"), [("m.bin", "unknown format"), ("none.onnx", "no such file"), ("", "no MLmodel")]
)
def test_what_is_no_model(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "m.bin").touch()
    with pytest.raises(ConfigError, match=message):
        read(tmp_path / name, tmp_path)


@pytest.mark.parametrize("text", ["- a", "a: [", "flavors: [sklearn]"])
def test_a_folder_whose_mlmodel_cannot_be_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(ConfigError, match="the folder holds no MLmodel that can be read"):
        read(tmp_path, tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello world", b'{"a": 1}', b"\xff\xfe<PMML"])
@pytest.mark.parametrize("suffix", [".onnx", ".txt", ".lgb", ".json", ".ubj", ".pmml"])
@pytest.mark.parametrize("features", [None, ["seats"]])
def test_a_file_that_holds_another_format(
    suffix: str, content: bytes, features: list[str] | None, tmp_path: Path
) -> None:
    (tmp_path / f"m{suffix}").write_bytes(content)
    with pytest.raises(ConfigError, match=rf"m{suffix}: it cannot be read as (an |LightGBM|XGBoost|PMML).*its own lib"):
        packaged(read(tmp_path / f"m{suffix}", tmp_path), tmp_path, features=features)


@pytest.mark.parametrize("kind", [LGBMClassifier, XGBClassifier])
def test_a_wrapper_that_is_not_fitted(kind: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"model {kind.__name__}: it is not fitted. Fit it, then package it again"):
        packaged(kind(), tmp_path, features=["seats"])


def save_plain(kind: str, folder: Path) -> None:
    """A model as MLflow alone writes it."""
    wanted = (target(SAMPLE, 2) == "class 1").astype(int)
    with quiet():
        import mlflow.pyfunc

        if kind == "pyfunc":
            mlflow.pyfunc.save_model(folder, python_model=Twice(), pip_requirements=[], input_example=NUMBERS)
        elif kind == "lightgbm":
            booster = LGBMClassifier(n_estimators=3, verbose=-1).fit(NUMBERS, wanted).booster_
            mlflow.lightgbm.save_model(booster, folder, pip_requirements=[])
        elif kind == "xgboost":
            mlflow.xgboost.save_model(XGBClassifier(n_estimators=3).fit(NUMBERS, wanted), folder, pip_requirements=[])
        else:
            types = {"serialization_format": kind, "skops_trusted_types": ["numpy.dtype"]}
            mlflow.sklearn.save_model(LINE, folder, pip_requirements=[], **types)


@pytest.mark.parametrize(
    ("kind", "runtime", "runs_code"),
    [
        ("skops", "sklearn", False),
        ("cloudpickle", "sklearn", True),
        ("lightgbm", "lightgbm", False),
        ("xgboost", "xgboost", False),
        ("pyfunc", "pyfunc", True),
    ],
)
def test_a_model_that_mlflow_saved(kind: str, runtime: str, runs_code: bool, tmp_path: Path) -> None:
    save_plain(kind, tmp_path / "plain")
    if runs_code:
        with pytest.raises(ConfigError, match="--trust"):
            read(tmp_path / "plain", tmp_path)
    model = read(tmp_path / "plain", tmp_path, trust=runs_code)
    assert matched(model).runtime == runtime
    package = packaged(model, tmp_path, score_output="half" if kind == "pyfunc" else None)
    assert package.runtime == runtime


@pytest.mark.parametrize(
    "flavors",
    [
        {"lightgbm": ["a"]},
        {"lightgbm": None},
        {"sklearn": "text"},
        {"lightgbm": {"data": "../secret.txt"}},
        {"lightgbm": {"data": "/etc/hosts.txt"}},
    ],
)
def test_an_mlmodel_that_names_no_file_of_its_own(flavors: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "secret.txt").write_text("tree")
    (tmp_path / "m" / "MLmodel").write_text(json.dumps({"flavors": flavors}))
    with pytest.raises(ConfigError, match="holds no MLmodel that can be read"):
        read(tmp_path / "m", tmp_path)


def test_check_says_which_runtime_and_why_and_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LGBMClassifier(n_estimators=3, verbose=-1).fit(NUMBERS, target(SAMPLE, 2))
    package = packaged(model, tmp_path)
    assert described(package) == "trips 1: lightgbm (a LGBMClassifier of lightgbm)"
    monkeypatch.setattr("spark_scoring.models.package.version_of", lambda name: "0.1" if name == "lightgbm" else None)
    recorded = dict(package.libraries)["lightgbm"]
    assert f"packaged with lightgbm {recorded}, here it is 0.1" in described(package)
    assert "packaged with numpy" in " ".join(library_differences(package))
