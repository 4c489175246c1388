"""Encoders of categories: what each makes of a category is asked of the encoder itself, once for each."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from spark_scoring.models.compiled.draft import Cell, Draft, Level, NotCompiled, Number, Text
from spark_scoring.models.compiled.operations import Numbers
from spark_scoring.models.describe import is_nan

UNKNOWN = "\ufffdunknown"


def encoded(draft: Draft, encoder: Any, cells: Sequence[Cell]) -> list[Cell]:
    """The columns of a fitted OneHotEncoder, OrdinalEncoder or TargetEncoder, each as a level of its category.

    A category that the encoder refuses rejects the row, as the encoder does.
    """
    found: list[Cell] = []
    for place, cell in enumerate(cells):
        known = [value for value in encoder.categories_[place].tolist() if not _is_missing(value)]
        code = _code(draft, cell, known)
        missing = cell.missing if isinstance(cell, Text) else np.nan
        rare = [_asked(encoder, place, values) for values in ([_unknown(known)], [missing])]
        draft.refuse(code, [len(known) + i for i, output in enumerate(rare) if output is None])
        common = _asked(encoder, place, known)
        if common is None:
            raise NotCompiled(f"{type(encoder).__name__} refuses its own categories")
        nothing = np.full((1, common.shape[1]), np.nan)
        table = np.vstack([common, *(nothing if output is None else output for output in rare)])
        found += [Level(code=code, values=np.ascontiguousarray(column)) for column in table.T]
    return found


def encoded_bins(draft: Draft, cell: Number, edges: Numbers, *, one_hot: bool) -> list[Cell]:
    """The columns of one column of a KBinsDiscretizer."""
    count = len(edges) - 1
    code = draft.bin_code(cell, edges[1:-1])
    if not one_hot:
        return [Level(code=code, values=np.array([*range(count), np.nan, np.nan], dtype=np.float64))]
    table = np.vstack([np.eye(count), np.full((2, count), np.nan)])
    return [Level(code=code, values=np.ascontiguousarray(table[:, i])) for i in range(count)]


def _code(draft: Draft, cell: Cell, known: list[Any]) -> int:
    if isinstance(cell, Text):
        if not all(isinstance(value, str) for value in known):
            raise NotCompiled(f"the categories of column '{cell.name}' are not all texts")
        return draft.text_code(cell, known)
    if isinstance(cell, Level):
        raise NotCompiled("an encoder stands behind another encoder")
    return draft.number_code(cell, np.array(known, dtype=np.float64))


def _is_missing(value: Any) -> bool:
    return value is None or is_nan(value)


def _unknown(known: list[Any]) -> Any:
    if not known or isinstance(known[0], str):
        return UNKNOWN
    return float(max(known)) + 1.5


def _asked(encoder: Any, place: int, values: list[Any]) -> Numbers | None:
    """What the encoder makes of rows with these categories in this place; None if it refuses one."""
    others = [next((v for v in known.tolist() if not _is_missing(v)), None) for known in encoder.categories_]
    columns = [values if i == place else [other] * len(values) for i, other in enumerate(others)]
    names = getattr(encoder, "feature_names_in_", range(len(columns)))
    series = [pd.Series(c, dtype=_dtype([*c, *known])) for c, known in zip(columns, encoder.categories_, strict=True)]
    frame = pd.DataFrame(dict(zip(names, series, strict=True)))
    given = frame if hasattr(encoder, "feature_names_in_") else frame.to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an unknown category is what is asked about
        try:
            made = encoder.transform(given)
        except ValueError:
            return None
    own = _columns(encoder, place, made.shape[1])
    part: Any = made[:, own] if not isinstance(made, pd.DataFrame) else made.iloc[:, own]
    dense: Any = part.toarray() if hasattr(part, "toarray") else part  # a sparse matrix, an array or a frame
    found: Numbers = np.asarray(dense, dtype=np.float64)
    return found


def _dtype(values: list[Any]) -> Any:
    return object if any(value is None or isinstance(value, str) for value in values) else np.float64


def _columns(encoder: Any, place: int, width: int) -> slice:
    """Which of the output columns belong to the input column."""
    if type(encoder).__name__ == "OneHotEncoder":
        widths = list(encoder._n_features_outs)
        return slice(sum(widths[:place]), sum(widths[: place + 1]))
    each = width // len(encoder.categories_)
    return slice(place * each, (place + 1) * each)
