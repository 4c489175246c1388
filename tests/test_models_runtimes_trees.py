"""LightGBM and XGBoost say what their libraries say, whatever is null, unknown or new."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xgboost
from models_data import bits
from runtime_models import ROWS, SAMPLE, lgbm, native_frame, packaged, scored, target, xgb

from spark_scoring.errors import ConfigError


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
