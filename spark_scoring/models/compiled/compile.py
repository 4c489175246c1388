"""A package's model as content for the JVM, or the reason why it has none."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyarrow import Array

from spark_scoring.models.compiled import lightgbm, linear, sklearn_trees, xgboost
from spark_scoring.models.compiled.draft import Cell, Draft, Level, NotCompiled, Number, Text
from spark_scoring.models.compiled.forest import Trees
from spark_scoring.models.compiled.tail import Tail
from spark_scoring.models.compiled.transformers import transformed
from spark_scoring.models.contract import ModelSpec
from spark_scoring.models.matrix import codes_of
from spark_scoring.models.package import Package, check_unchanged


@dataclass(frozen=True, kw_only=True, eq=False)
class Compiled:
    """What the JVM scores with: `key` names the content; the inputs stand in the order of its arguments.

    `draft` and `trees` tell where the model's decisions change.
    """

    key: str
    content: bytes
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    draft: Draft
    trees: Trees | None


def compiled(package: Package) -> Compiled:
    """The model of a package.

    Raises: NotCompiled: it, or a part of it, has no compiled form. RunError: its files changed since it was opened.
    """
    check_unchanged(package)
    if package.spec.prepare:
        raise NotCompiled(f"its feature code '{package.spec.prepare}' is Python")
    if package.runtime not in ("sklearn", "lightgbm", "xgboost"):
        raise NotCompiled(f"the runtime {package.runtime} has no compiled form")
    draft, cells = Draft.of(package.features, nan_texts=package.spec.nan_texts)
    try:
        tail = _sklearn(draft, package, cells) if package.runtime == "sklearn" else _native(draft, package, cells)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        # another version of the library, or an option that is not known here: Arrow asks the library itself
        raise NotCompiled(f"it cannot be read ({type(error).__name__}: {error})") from error
    content = draft.dump(tail.head, tail.link)
    return Compiled(
        key=hashlib.sha256(content).hexdigest(),
        content=content,
        numbers=draft.numbers,
        texts=draft.texts,
        draft=draft,
        trees=tail.trees,
    )


def _native(draft: Draft, package: Package, cells: Sequence[Cell]) -> Tail:
    file, coded = package.path / package.spec.file, _coded(draft, package.spec, cells)
    if package.runtime == "lightgbm":
        return lightgbm.boosted(draft, file.read_text("utf-8"), coded, package.classes)
    import xgboost as library

    return xgboost.boosted(draft, library.Booster(model_file=file), coded, package.classes)


def _coded(draft: Draft, spec: ModelSpec, cells: Sequence[Cell]) -> list[Cell]:
    """Categories as their codes, unknown and missing ones as NaN."""
    codes = codes_of(spec)
    pairs = zip(spec.inputs, cells, strict=True)
    return [_level(draft, cell, codes[f.name]) if f.name in codes else cell for f, cell in pairs]


def _level(draft: Draft, cell: Cell, values: Array) -> Cell:
    known = values.to_pylist()
    if None in known:
        raise NotCompiled("null is a category of its own")
    if isinstance(cell, Text):
        code = draft.text_code(cell, known)
    elif isinstance(cell, Number):
        code = draft.number_code(cell, np.array(known, dtype=np.float64))
    return Level(code=code, values=np.array([*range(len(known)), np.nan, np.nan]))


def _sklearn(draft: Draft, package: Package, cells: Sequence[Cell]) -> Tail:
    from spark_scoring.models.sklearn import one_thread, read_model

    model = read_model(package.path / package.spec.file, package.spec.serialization)
    one_thread(model)
    names: list[str] | None = [feature.name for feature in package.features]
    found, steps = list(cells), list(model.steps) if _is_pipeline(model) else [("", model)]
    while _is_pipeline(steps[-1][1]):
        steps[-1:] = steps[-1][1].steps
    _check_floats(package.spec, alone=len(steps) == 1)
    for _, step in steps[:-1]:
        found = transformed(draft, step, found, names)
        names = names if isinstance(step, str) else None
    return _last(draft, steps[-1][1], found, package.classes)


def _is_pipeline(model: Any) -> bool:
    return type(model).__name__ == "Pipeline" and type(model).__module__.startswith("sklearn.")


def _check_floats(spec: ModelSpec, *, alone: bool) -> None:
    floats = [feature.name for feature in spec.features if feature.type == "float"]
    if floats and not alone:
        raise NotCompiled(f"column '{floats[0]}' is float: scikit-learn prepares it in single precision")


def _last(draft: Draft, model: Any, cells: Sequence[Cell], classes: tuple[str, ...]) -> Tail:
    kind = type(model)
    if kind.__module__.startswith("sklearn."):
        if kind.__name__ in linear.KINDS:
            return linear.linear(draft, model, cells, classes)
        if kind.__name__ in sklearn_trees.KINDS:
            return sklearn_trees.trees(draft, model, cells, classes)
    elif kind.__module__.startswith("lightgbm."):
        return lightgbm.boosted(draft, model.booster_.model_to_string(), cells, classes)
    raise NotCompiled(f"{kind.__name__} has no compiled form")
