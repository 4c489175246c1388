"""The LightGBM runtime: a Booster's text file, which holds no code; scikit-learn wrappers become one."""

import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.exceptions import NotFittedError

from spark_scoring.errors import unnamed_inputs, unsupported_model
from spark_scoring.models.contract import (
    Categories,
    Feature,
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

FILE = "model.lgb"
LIBRARIES = ("lightgbm", "numpy", "pyarrow")
_UNNAMED = re.compile(r"Column_\d+")


def input_names(model: Any) -> tuple[str, ...]:
    """The names of the columns that the model reads, in its order.

    Raises: ConfigError if it was trained without any.
    """
    names = _names(_booster(model))
    if names is None:
        raise unnamed_inputs("LightGBM model")
    return names


def save(model: Any, folder: Path, *, inputs: Inputs, output: str | None) -> Saved:
    """Write the text file; what comes out of the model is in it.

    Raises: ConfigError: a column is no number and no category, the model gives no probabilities, or leaves out trees
        as it predicts.
    """
    _check_all_trees(model)
    booster = _booster(model)
    if isinstance(model, Path):
        shutil.copyfile(model, folder / FILE)
    else:
        booster.save_model(folder / FILE)
    categories = _categories(booster, inputs.model_features)
    check_numbers("lightgbm", inputs.model_features, categories)
    conf = {"lgb_version": version_of("lightgbm"), "data": FILE, "model_class": "lightgbm.basic.Booster", "code": None}
    return Saved(
        file=FILE,
        serialization="lightgbm text",
        classes=_classes(model, booster),
        tolerance=Tolerance(ulps=2),
        libraries=LIBRARIES,
        categories=categories,
        flavor=("lightgbm", conf),
    )


def load(folder: Path, spec: ModelSpec) -> Predict:
    """The function from a batch of input columns to outputs, on one thread."""
    import lightgbm

    booster = lightgbm.Booster(model_file=folder / spec.file)
    check_names(spec, _names(booster))
    return RowByRow(predict=partial(_predict, booster=booster, codes=codes_of(spec), classes=spec.classes))


def _predict(batch: pa.RecordBatch, *, booster: Any, codes: dict[str, pa.Array], classes: tuple[str, ...]) -> Outputs:
    found = np.asarray(booster.predict(matrix(batch, codes), num_threads=1), dtype=np.float64)
    if not classes:
        return unlabelled(found)
    return outputs_of(found if found.ndim == 2 else np.stack([1.0 - found, found], axis=1), classes)


def _booster(model: Any) -> Any:
    import lightgbm

    if isinstance(model, Path):
        with reading(model):
            return lightgbm.Booster(model_file=model)
    try:
        return model if isinstance(model, lightgbm.Booster) else model.booster_
    except NotFittedError:
        raise unsupported_model(type(model).__name__, why="it is not fitted", do="Fit it") from None


def _check_all_trees(model: Any) -> None:
    """A wrapper hands its parameters on when it predicts; of them, early stopping alone changes what is said."""
    if hasattr(model, "get_params") and model.get_params().get("pred_early_stop"):
        raise unsupported_model(
            type(model).__name__,
            why="with pred_early_stop it leaves out trees as it predicts, which is no part of the saved model",
            do="Set pred_early_stop=False, which needs no new training",
        )


def _names(booster: Any) -> tuple[str, ...] | None:
    names = tuple(booster.feature_name())
    return None if all(_UNNAMED.fullmatch(name) for name in names) else names


def _header(booster: Any) -> dict[str, str]:
    head = booster.model_to_string(num_iteration=1).partition("\n\n")[0]
    return dict(line.split("=", 1) for line in head.splitlines() if "=" in line)


def _classes(model: Any, booster: Any) -> tuple[str, ...]:
    objective = _header(booster).get("objective", "").split(" ")
    names = getattr(model, "classes_", None)
    if objective[0] in ("multiclass", "multiclassova"):
        count = booster.num_model_per_iteration()
    else:
        count = 2 if objective[0] == "binary" else 0
    if names is not None and len(names) != count:
        raise unsupported_model(
            type(model).__name__,
            why=f"its objective is '{objective[0] or 'its own'}', which gives no probabilities",
            do="Train it with the objective binary or multiclass",
        )
    return tuple(str(name) for name in (np.asarray(names).tolist() if names is not None else range(count)))


def _categories(booster: Any, features: tuple[Feature, ...]) -> tuple[Categories, ...]:
    """LightGBM keeps the values of pandas' categories without the columns' names, in their order."""
    values = booster.pandas_categorical or []
    infos = _header(booster).get("feature_infos", "").split(" ")
    spread = [not info.startswith("[") and info != "none" for info in infos]
    found = [one for one, is_category in zip(features, spread, strict=True) if is_category or one.type == "string"]
    if values and len(found) != len(values):
        raise unsupported_model(
            "LightGBM model",
            why=f"of {len(values)} categorical columns {len(found)} can be told by name",
            do="Leave out columns that have one value only",
        )
    pairs = zip(found, values, strict=bool(values))
    return tuple(Categories(name=feature.name, values=tuple(known)) for feature, known in pairs)
