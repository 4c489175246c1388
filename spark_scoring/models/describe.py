"""What a fitted scikit-learn model says about itself, read once when it is packaged."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from spark_scoring.errors import unsupported_model
from spark_scoring.models.contract import Tolerance

TREES = frozenset({
    "DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor",
    "ExtraTreesClassifier", "ExtraTreesRegressor", "GradientBoostingClassifier", "GradientBoostingRegressor",
    "HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "RandomForestClassifier",
    "RandomForestRegressor",
})  # fmt: skip


def inputs_of(model: Any) -> tuple[str, ...]:
    """The columns that the model reads, in the order it learned them.

    Raises: ConfigError if the model was fitted without column names.
    """
    names = names_in(model)
    if names is None:
        raise unsupported_model(
            _kind(model),
            why="it knows no column names",
            do="Fit it on a DataFrame, as spark_scoring.to_pandas gives it, or name its columns in its order with "
            "--features a,b,c, in Python with features=[…]",
        )
    return names


def names_in(model: Any) -> tuple[str, ...] | None:
    """The columns that the model names, in the order it learned them; None if it was fitted without names.

    Columns that a leading ColumnTransformer drops are not among them.
    """
    first = _first(model)
    names = getattr(first, "feature_names_in_", getattr(model, "feature_names_in_", None))
    if names is None:
        return None
    used = {name for columns in _taken(first) for name in _named(columns, names)} if _taken(first) else set(names)
    return tuple(str(name) for name in names if name in used)


def check_count(model: Any, names: Sequence[str]) -> None:
    """Nothing, if the model was fitted on as many columns as are named.

    Raises: ConfigError.
    """
    fitted = getattr(_first(model), "n_features_in_", None)
    if names_in(model) is None and fitted is not None and fitted != len(names):
        raise unsupported_model(
            _kind(model),
            why=f"it was fitted on {fitted} columns, and {len(names)} are named",
            do="Name all of its columns in its order with --features, in Python with features=[…]",
        )


def knows_nan_texts(model: Any, parts: Iterable[Any]) -> bool:
    """Whether the model knows a missing text as NaN, as CSV files read by pandas have it: not as None, which is another
    value to scikit-learn.

    Raises: ConfigError if some of its parts know the one and some the other.
    """
    known = [(part, values) for part in parts for values in _values_of(part) if _are_texts(values)]
    # an encoder that knows None was fitted on it, also behind an imputer that looks for NaN
    knows_none = any(value is None for _, values in known for value in values)
    fills_none = any(getattr(part, "missing_values", np.nan) is None for part, _ in known)
    fills_nan = any(is_nan(getattr(part, "missing_values", None)) for part, _ in known) and not knows_none
    knows_nan = any(is_nan(value) for part, values in known if not _takes_unknown_for_missing(part) for value in values)
    if (fills_nan or knows_nan) and (fills_none or knows_none):
        raise unsupported_model(
            _kind(model),
            why="it takes NaN for a missing text in some of its parts, and None in others",
            do="Fit it on texts that all have None there, as spark_scoring.to_pandas gives them, a SimpleImputer of "
            "texts with missing_values=None",
        )
    return fills_nan or knows_nan


def classes_of(model: Any) -> tuple[str, ...]:
    """The classes as text, in the order of the model's probabilities; none for a regression.

    Raises: ConfigError for a classifier without probabilities, with one class or with several outputs.
    """
    classes = getattr(model, "classes_", None)
    if classes is None:
        return ()
    if not hasattr(model, "predict_proba"):
        raise unsupported_model(
            _kind(model),
            why="it gives classes and no probabilities",
            do="Wrap it in sklearn.calibration.CalibratedClassifierCV",
        )
    if isinstance(classes, list) or np.ndim(classes) != 1:
        raise unsupported_model(_kind(model), why="it has several outputs", do="Package one model per output")
    if len(classes) < 2:
        raise unsupported_model(_kind(model), why="it knows one class only", do="Fit it on rows of two classes or more")
    return tuple(str(value) for value in np.asarray(classes).tolist())


def is_nan(value: Any) -> bool:
    """Whether it is a float, and no number; None and texts are none."""
    return isinstance(value, float) and bool(np.isnan(value))


def tolerance_of(model: Any) -> Tolerance:
    """2 units in the last place for trees, which add numbers in one order; else 1e-9 of the score."""
    return Tolerance(ulps=2) if type(_last(model)).__name__ in TREES else Tolerance(relative=1e-9)


def _values_of(part: Any) -> list[Any]:
    """What an encoder knows of each column, and what an imputer fills in."""
    categories = getattr(part, "categories_", None)
    return [*(categories if isinstance(categories, list) else []), getattr(part, "statistics_", None)]


def _takes_unknown_for_missing(part: Any) -> bool:
    # as the encoder inside HistGradientBoosting does
    return all(is_nan(getattr(part, name, None)) for name in ("unknown_value", "encoded_missing_value"))


def _are_texts(values: Any) -> bool:
    is_of_objects = isinstance(values, np.ndarray) and values.dtype.kind == "O"
    return is_of_objects and any(isinstance(value, str) for value in values)


def _kind(model: Any) -> str:
    return type(_last(model)).__name__


def _first(model: Any) -> Any:
    return _first(model.steps[0][1]) if hasattr(model, "steps") else model


def _last(model: Any) -> Any:
    return _last(model.steps[-1][1]) if hasattr(model, "steps") else model


def _taken(first: Any) -> list[Any]:
    if type(first).__name__ != "ColumnTransformer":
        return []
    return [columns for _, transformer, columns in first.transformers_ if transformer != "drop"]


def _named(columns: Any, names: Iterable[str]) -> list[str]:
    """The column names behind a selection: a name, names, positions, a slice or a mask."""
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, slice):
        return list(names)[columns] if not isinstance(columns.start or columns.stop, str) else _between(columns, names)
    picked = np.atleast_1d(np.asarray(columns))
    if picked.dtype.kind in "biu":
        return list(np.asarray(list(names), dtype=object)[picked])
    return [str(name) for name in picked]


def _between(columns: slice, names: Iterable[str]) -> list[str]:
    known = list(names)
    start = known.index(columns.start) if columns.start is not None else 0
    stop = known.index(columns.stop) + 1 if columns.stop is not None else len(known)
    return known[start:stop]
