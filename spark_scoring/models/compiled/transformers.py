"""scikit-learn's preparation, step by step: what each fitted transformer does to the cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spark_scoring.models.compiled.draft import Cell, Draft, NotCompiled, Number, Text
from spark_scoring.models.compiled.encoders import encoded, encoded_bins
from spark_scoring.models.compiled.operations import Operation
from spark_scoring.models.describe import is_nan

FUNCTIONS = {
    "log": Operation.LOG, "log1p": Operation.LOG1P, "log10": Operation.LOG10, "sqrt": Operation.SQRT,
    "exp": Operation.EXP, "expm1": Operation.EXPM1, "absolute": Operation.ABS, "fabs": Operation.ABS,
    "square": Operation.SQUARE,
}  # fmt: skip
Names = Sequence[str] | None


def transformed(draft: Draft, transformer: Any, cells: Sequence[Cell], names: Names = None) -> list[Cell]:
    """The cells that a fitted transformer gives; `names` are those of the cells, where they have any.

    Raises: NotCompiled: it, or an option of it, has no compiled form.
    """
    if transformer is None or isinstance(transformer, str):
        return list(cells) if transformer in (None, "passthrough") else []
    kind = type(transformer)
    if not kind.__module__.startswith("sklearn."):
        raise NotCompiled(f"{kind.__name__} is not one of scikit-learn's own transformers")
    if kind.__name__ in WITH_NAMES:
        return WITH_NAMES[kind.__name__](draft, transformer, cells, names)
    if kind.__name__ in PLAIN:
        return PLAIN[kind.__name__](draft, transformer, cells)
    if kind.__module__.startswith("sklearn.feature_selection"):
        return _selected(draft, transformer, cells)
    raise NotCompiled(f"{kind.__name__} has no compiled form")


def _pipeline(draft: Draft, model: Any, cells: Sequence[Cell], names: Names) -> list[Cell]:
    found = list(cells)
    for _, step in model.steps:
        found = transformed(draft, step, found, names)
        names = None if not isinstance(step, str) else names
    return found


def _column_transformer(draft: Draft, model: Any, cells: Sequence[Cell], names: Names) -> list[Cell]:
    if model.transformer_weights:
        raise NotCompiled("ColumnTransformer with transformer_weights")
    found: list[Cell] = []
    by_name = names is not None and hasattr(model, "feature_names_in_")
    learned = [str(name) for name in model.feature_names_in_] if by_name else None
    for _, transformer, columns in model.transformers_:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        places = _places(columns, learned if learned is not None else len(cells))
        # columns that are dropped are no inputs of the package, so places are told by name
        if learned is not None and names is not None:
            places = [list(names).index(learned[place]) for place in places]
        chosen = None if names is None else [names[place] for place in places]
        found += transformed(draft, transformer, [cells[place] for place in places], chosen) if places else []
    return found


def _places(columns: Any, known: list[str] | int) -> list[int]:
    """The places behind a selection: names, positions, a slice of either, or a mask."""
    names, count = (None, known) if isinstance(known, int) else (known, len(known))
    if isinstance(columns, slice):
        bounds = [columns.start, columns.stop]
        if any(isinstance(bound, str) for bound in bounds) and names is not None:
            start = names.index(bounds[0]) if bounds[0] is not None else 0
            return list(range(start, names.index(bounds[1]) + 1 if bounds[1] is not None else count))
        return list(range(count))[columns]
    picked = np.atleast_1d(np.asarray(columns))
    if picked.dtype.kind in "biu":
        return [int(place) for place in np.arange(count)[picked]]
    if names is None:
        raise NotCompiled("a ColumnTransformer behind other steps selects columns by name")
    return [names.index(str(name)) for name in picked]


def _union(draft: Draft, model: Any, cells: Sequence[Cell], names: Names) -> list[Cell]:
    if model.transformer_weights:
        raise NotCompiled("FeatureUnion with transformer_weights")
    return [cell for _, part in model.transformer_list for cell in transformed(draft, part, cells, names)]


def _imputed(draft: Draft, model: Any, cells: Sequence[Cell]) -> list[Cell]:
    texts = [cell for cell in cells if isinstance(cell, Text)]
    if texts:
        if len(texts) < len(cells) or model.add_indicator:
            raise NotCompiled("a SimpleImputer of texts, with numbers or an indicator beside them")
        if is_nan(model.missing_values) and texts[0].missing is None:
            return list(cells)  # no text is NaN, and a null is none
        if not is_nan(model.missing_values) and model.missing_values is not None:
            raise NotCompiled(f"SimpleImputer of texts with missing_values={model.missing_values!r}")
        if not all(isinstance(fill, str) for fill in model.statistics_):
            raise NotCompiled("SimpleImputer of a column that had no values in training")
        return [replace(text, fill=str(fill)) for text, fill in zip(texts, model.statistics_, strict=True)]
    if not is_nan(model.missing_values):
        raise NotCompiled(f"SimpleImputer with missing_values={model.missing_values!r}")
    fill = np.asarray(model.statistics_, dtype=np.float64)
    if np.isnan(fill).any():
        raise NotCompiled("SimpleImputer of a column that had no values in training")
    draft.check(cells, missing=True)
    found = draft.apply(Operation.IF_MISSING, cells, fill)
    if model.add_indicator:
        found += draft.apply(Operation.IS_MISSING, [cells[place] for place in model.indicator_.features_])
    return found


def _standard(draft: Draft, model: Any, cells: Sequence[Cell]) -> list[Cell]:
    draft.check(cells, missing=True)
    found = list(cells)
    if model.with_mean:
        found = draft.apply(Operation.SUBTRACT, found, model.mean_)
    return draft.apply(Operation.DIVIDE, found, model.scale_) if model.with_std else found


def _min_max(draft: Draft, model: Any, cells: Sequence[Cell]) -> list[Cell]:
    draft.check(cells, missing=True)
    found = draft.apply(Operation.ADD, draft.apply(Operation.MULTIPLY, cells, model.scale_), model.min_)
    if not model.clip:
        return found
    low, high = model.feature_range
    return draft.apply(Operation.AT_MOST, draft.apply(Operation.AT_LEAST, found, low), high)


def _max_abs(draft: Draft, model: Any, cells: Sequence[Cell]) -> list[Cell]:
    draft.check(cells, missing=True)
    if getattr(model, "clip", False):
        raise NotCompiled("MaxAbsScaler with clip")
    return draft.apply(Operation.DIVIDE, cells, model.scale_)


def _robust(draft: Draft, model: Any, cells: Sequence[Cell]) -> list[Cell]:
    draft.check(cells, missing=True)
    found = draft.apply(Operation.SUBTRACT, cells, model.center_) if model.with_centering else list(cells)
    return draft.apply(Operation.DIVIDE, found, model.scale_) if model.with_scaling else found


def _function(draft: Draft, model: Any, cells: Sequence[Cell]) -> list[Cell]:
    if model.validate:
        draft.check(cells, missing=False)
    if model.func is None:
        return list(cells)
    name = getattr(model.func, "__name__", "")
    if not isinstance(model.func, np.ufunc) or name not in FUNCTIONS or model.kw_args:
        raise NotCompiled("FunctionTransformer of a function that is not a plain one of numpy")
    return draft.apply(FUNCTIONS[name], cells)


def _power(draft: Draft, model: Any, cells: Sequence[Cell]) -> list[Cell]:
    if model.method != "yeo-johnson":
        raise NotCompiled(f"PowerTransformer with method={model.method!r}")
    draft.check(cells, missing=True)
    found = draft.apply(Operation.YEO_JOHNSON, cells, model.lambdas_)
    return _standard(draft, model._scaler, found) if model.standardize else found


def _bins(draft: Draft, model: Any, cells: Sequence[Cell]) -> list[Cell]:
    draft.check(cells, missing=False)
    found: list[Cell] = []
    for cell, edges in zip(cells, model.bin_edges_, strict=True):
        if not isinstance(cell, Number):
            raise NotCompiled("KBinsDiscretizer behind an encoder")
        found += encoded_bins(draft, cell, np.asarray(edges), one_hot=model.encode != "ordinal")
    return found


def _selected(draft: Draft, model: Any, cells: Sequence[Cell]) -> list[Cell]:
    from sklearn.utils import get_tags

    draft.check(cells, missing=bool(get_tags(model).input_tags.allow_nan))
    return [cell for cell, kept in zip(cells, model.get_support(), strict=True) if kept]


WITH_NAMES: Mapping[str, Callable[[Draft, Any, Sequence[Cell], Names], list[Cell]]] = {
    "Pipeline": _pipeline,
    "ColumnTransformer": _column_transformer,
    "FeatureUnion": _union,
}
PLAIN: Mapping[str, Callable[[Draft, Any, Sequence[Cell]], list[Cell]]] = {
    "SimpleImputer": _imputed,
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
    "FunctionTransformer": _function,
    "PowerTransformer": _power,
    "KBinsDiscretizer": _bins,
    "OneHotEncoder": encoded,
    "OrdinalEncoder": encoded,
    "TargetEncoder": encoded,
}
