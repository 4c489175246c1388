"""The XGBoost runtime: a Booster's ubj file, which holds no code; scikit-learn wrappers and json become one."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.exceptions import NotFittedError

from spark_scoring.errors import spoiled_categories, unnamed_inputs, unsupported_model
from spark_scoring.models.contract import (
    Categories,
    Inputs,
    ModelSpec,
    Outputs,
    Predict,
    RowByRow,
    Saved,
    Tolerance,
    outputs_of,
    unlabelled,
)
from spark_scoring.models.libraries import version_of
from spark_scoring.models.match import reading
from spark_scoring.models.matrix import check_names, check_numbers, codes_of, matrix

FILE = "model.ubj"
LIBRARIES = ("xgboost", "numpy", "pyarrow")
# 2 units in the last place of a float32, which is what XGBoost computes in
TOLERANCE = Tolerance(relative=2.0**-22)


def input_names(model: Any) -> tuple[str, ...]:
    """The names of the columns that the model reads, in its order.

    Raises: ConfigError if it was trained without any.
    """
    names = _booster(model).feature_names
    if names is None:
        raise unnamed_inputs("XGBoost model")
    return tuple(names)


def save(model: Any, folder: Path, *, inputs: Inputs, output: str | None) -> Saved:
    """Write the ubj file; trees behind the best iteration are left out where the model would not use them.

    Raises: ConfigError: a column is no number and no category, the model gives no probabilities, or takes another
        value than NaN for missing.
    """
    _check_missing(model)
    booster = _booster(model)
    categories = _categories(booster, inputs)
    check_numbers("xgboost", inputs.model_features, categories)
    classes = _classes(model, booster)
    booster.save_model(folder / FILE)
    conf = {
        "xgb_version": version_of("xgboost"), "data": FILE, "model_class": "xgboost.core.Booster",
        "model_format": "ubj", "code": None,
    }  # fmt: skip
    return Saved(
        file=FILE,
        serialization="xgboost ubj",
        classes=classes,
        tolerance=TOLERANCE,
        libraries=LIBRARIES,
        categories=categories,
        flavor=("xgboost", conf),
    )


def load(folder: Path, spec: ModelSpec) -> Predict:
    """The function from a batch of input columns to outputs, on one thread."""
    import xgboost

    booster = xgboost.Booster(model_file=folder / spec.file)
    booster.set_param({"nthread": 1})
    check_names(spec, booster.feature_names)
    linear = _is_linear(booster)
    predict = partial(_predict, booster=booster, codes=codes_of(spec), classes=spec.classes, in_place=not linear)
    return predict if linear else RowByRow(predict=predict)


def _predict(
    batch: pa.RecordBatch, *, booster: Any, codes: dict[str, pa.Array], classes: tuple[str, ...], in_place: bool
) -> Outputs:
    """By codes, not by pandas' categories: XGBoost 3.2 mixes up names outside ASCII and raises for unknown ones."""
    import xgboost

    values = matrix(batch, codes)
    if in_place:
        found = booster.inplace_predict(values, validate_features=False)
    else:
        found = booster.predict(xgboost.DMatrix(values, nthread=1), validate_features=False)
    if not classes:
        return unlabelled(found.astype(np.float64))
    return outputs_of((found if found.ndim == 2 else np.stack([1 - found, found], axis=1)).astype(np.float64), classes)


def _booster(model: Any) -> Any:
    """The Booster with the trees that its owner predicts with."""
    import xgboost

    booster = _whole(model)
    is_file = isinstance(model, Path)
    wrapped = booster.attr("scikit_learn") is not None if is_file else not isinstance(model, xgboost.Booster)
    best = booster.attr("best_iteration")
    if wrapped and best is not None and not _is_linear(booster):  # a line has no rounds to leave out
        return booster[: int(best) + 1]
    return booster.copy()


def _whole(model: Any) -> Any:
    """The Booster of a file or a wrapper."""
    import xgboost

    if isinstance(model, Path):
        with reading(model):
            return xgboost.Booster(model_file=model)
    try:
        return model if isinstance(model, xgboost.Booster) else model.get_booster()
    except NotFittedError:
        raise unsupported_model(type(model).__name__, why="it is not fitted", do="Fit it") from None


def _is_linear(booster: Any) -> bool:
    return bool(_config(booster)["gradient_booster"]["name"] == "gblinear")


def _check_missing(model: Any) -> None:
    missing = getattr(model, "missing", None)
    if missing is not None and not np.isnan(missing):
        raise unsupported_model(
            type(model).__name__,
            why=f"it takes {missing} for missing, which is a setting of the wrapper and no part of the saved model",
            do=f"Make that value null with a step 'columns', as in nullif(x, {missing}), train it with missing=nan",
        )


def _config(booster: Any) -> Any:
    return json.loads(booster.save_config())["learner"]


def _classes(model: Any, booster: Any) -> tuple[str, ...]:
    config = _config(booster)
    objective, shape = config["objective"]["name"], config["learner_model_param"]
    if int(shape["num_target"]) > 1:
        raise unsupported_model("XGBoost model", why="it has several outputs", do="Package one model per output")
    count = {"binary:logistic": 2, "multi:softprob": int(shape["num_class"]), "multi:softmax": int(shape["num_class"])}
    if objective == "multi:softmax":
        booster.set_param({"objective": "multi:softprob"})  # the same trees, asked for all probabilities
    if objective not in count and hasattr(model, "classes_"):
        raise unsupported_model(
            type(model).__name__,
            why=f"its objective is '{objective}', which gives no probabilities",
            do="Train it with binary:logistic or multi:softprob",
        )
    return tuple(str(number) for number in range(count.get(objective, 0)))


def _categories(booster: Any, inputs: Inputs) -> tuple[Categories, ...]:
    """From the sample's dtype where it has one, else from the model."""
    kinds = booster.feature_types or []
    named = [f.name for f, kind in zip(inputs.model_features, kinds, strict=bool(kinds)) if kind == "c"]
    given = {one.name: one for one in inputs.categories}
    if not named:
        return ()
    kept = dict(booster.get_categories(export_to_arrow=True).to_arrow() or ())
    places = {f.name: name for f, name in zip(inputs.model_features, booster.feature_names or kept, strict=False)}
    found = [given.get(name) or _kept(name, kept.get(places.get(name, name))) for name in named]
    return tuple(one for one in found if one is not None)


def _kept(name: str, values: Any) -> Categories | None:
    """The values that the model keeps; None if it was trained on codes."""
    if values is None:
        return None
    try:
        read = tuple(values.to_pylist())
    except UnicodeDecodeError:
        raise spoiled_categories(name) from None
    # counted in characters and cut in bytes: one name outside ASCII spoils the ones behind it
    if not all(str(value).isascii() for value in read):
        raise spoiled_categories(name)
    return Categories(name=name, values=read)
