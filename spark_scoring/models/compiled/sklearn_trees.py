"""scikit-learn's trees: single ones, forests, gradient boosting and its histogram form."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spark_scoring.models.compiled.draft import Cell, Draft, NotCompiled
from spark_scoring.models.compiled.encoders import encoded
from spark_scoring.models.compiled.forest import CategorySet, Forest, Growing, Missing, trees_of
from spark_scoring.models.compiled.link import Link, Rule, link_content
from spark_scoring.models.compiled.operations import Numbers, Operation
from spark_scoring.models.compiled.tail import Tail

SINGLE = frozenset({"DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"})
FORESTS = frozenset({
    "ExtraTreesClassifier", "ExtraTreesRegressor", "RandomForestClassifier", "RandomForestRegressor",
})  # fmt: skip
BOOSTED = frozenset({"GradientBoostingClassifier", "GradientBoostingRegressor"})
HISTOGRAM = frozenset({"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"})
KINDS = SINGLE | FORESTS | BOOSTED | HISTOGRAM
LOG_LOSSES = ("poisson", "gamma")


def trees(draft: Draft, model: Any, cells: Sequence[Cell], classes: tuple[str, ...]) -> Tail:
    """A fitted tree model over prepared cells.

    Raises: NotCompiled: an option of it has no compiled form.
    """
    kind = type(model).__name__
    if kind in HISTOGRAM:
        return _histogram(draft, model, cells, classes)
    # scikit-learn's trees see float32, and refuse what does not fit into it
    narrow = draft.apply(Operation.TO_FLOAT, cells)
    if kind in BOOSTED:
        draft.check(narrow, missing=False)
        return _boosted(draft, model, narrow, classes)
    draft.check(narrow, missing=_takes_missing(model))
    return _averaged(draft, model, narrow, classes)


def _takes_missing(model: Any) -> bool:
    from sklearn.utils import get_tags

    one = model.estimators_[0] if hasattr(model, "estimators_") else model
    return bool(get_tags(one).input_tags.allow_nan)


def _averaged(draft: Draft, model: Any, cells: Sequence[Cell], classes: tuple[str, ...]) -> Tail:
    members = list(model.estimators_) if type(model).__name__ in FORESTS else [model]
    if model.n_outputs_ != 1:
        raise NotCompiled(f"{type(model).__name__} with several outputs")
    width = max(len(classes), 1)
    growing = Growing()
    for member in members:
        _add(growing, member.tree_, value=member.tree_.value[:, 0, :width])
    forest = growing.forest(start=np.zeros(width), singles=True)
    link = link_content(Link.SHARES, classes=classes, outputs=width, factor=float(len(members)))
    return Tail.of(trees_of(draft, forest, cells), link)


def _add(growing: Growing, tree: Any, *, value: Numbers) -> None:
    nodes = tree.__getstate__()["nodes"]
    missing = np.where(nodes["missing_go_to_left"], Missing.LEFT, Missing.RIGHT)
    growing.add(
        feature=np.where(tree.children_left < 0, -1, tree.feature),
        limit=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        missing=missing,
        value=value,
    )


def _boosted(draft: Draft, model: Any, cells: Sequence[Cell], classes: tuple[str, ...]) -> Tail:
    width = model.n_trees_per_iteration_
    growing = Growing()
    for row in model.estimators_:
        for member in row:
            _add(growing, member.tree_, value=model.learning_rate * member.tree_.value[:, 0, :1])
    forest = growing.forest(start=_first(model, width), outputs=np.arange(len(growing.roots)) % width, singles=True)
    return Tail.of(trees_of(draft, forest, cells), _boosted_link(model, classes, width))


def _boosted_link(model: Any, classes: tuple[str, ...], width: int) -> Any:
    if not classes:
        return link_content(Link.IDENTITY, classes=classes, outputs=width)
    if len(classes) > 2:
        return link_content(Link.SOFTMAX, classes=classes, outputs=width)
    # the exponential loss has margins of half the size
    factor = 2.0 if model.loss == "exponential" else 1.0
    return link_content(Link.SIGMOID, classes=classes, outputs=1, rule=Rule.NOT_NEGATIVE, factor=factor)


def _first(model: Any, width: int) -> Numbers:
    """What the margins start with: the same for every row, or the model is not compiled."""
    if not (isinstance(model.init_, str) or type(model.init_).__module__ == "sklearn.dummy"):
        raise NotCompiled(f"{type(model).__name__} that starts with another model")
    rows = np.zeros((1, model.n_features_in_), dtype=np.float32)
    found: Numbers = np.asarray(model._raw_predict_init(rows), dtype=np.float64).reshape(-1)[:width]
    return found


def _histogram(draft: Draft, model: Any, cells: Sequence[Cell], classes: tuple[str, ...]) -> Tail:
    if getattr(model, "_preprocessor", None) is not None:
        cells = _encoded_first(draft, model, cells)
    width = model.n_trees_per_iteration_
    growing, sets = Growing(), list[CategorySet]()
    for row in model._predictors:
        for predictor in row:
            _add_histogram(growing, predictor, sets)
    start = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)
    forest: Forest = growing.forest(start=start, outputs=np.arange(len(growing.roots)) % width, categories=sets)
    return Tail.of(trees_of(draft, forest, cells), _histogram_link(model, classes, width))


def _encoded_first(draft: Draft, model: Any, cells: Sequence[Cell]) -> list[Cell]:
    """Its categories as codes, then its numbers: the order in which it learns them."""
    pairs = list(zip(cells, model.is_categorical_, strict=True))
    encoder = model._preprocessor.named_transformers_["encoder"]
    return [
        *encoded(draft, encoder, [cell for cell, is_category in pairs if is_category]),
        *(cell for cell, is_category in pairs if not is_category),
    ]


def _add_histogram(growing: Growing, predictor: Any, sets: list[CategorySet]) -> None:
    nodes = predictor.nodes
    inner, to_left = nodes["is_leaf"] == 0, nodes["missing_go_to_left"] == 1
    numbers = np.full(len(nodes), -1)
    for node in np.flatnonzero(inner & (nodes["is_categorical"] == 1)).tolist():
        numbers[node] = len(sets)
        words = predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]]
        bits = np.unpackbits(np.asarray(words, dtype="<u4").view(np.uint8), bitorder="little")
        # unknown categories are missing ones by then
        missing = bool(to_left[node])
        left = tuple(np.flatnonzero(bits).tolist())
        sets.append(CategorySet(left=left, size=len(bits), missing_left=missing, beyond_left=missing))
    growing.add(
        feature=np.where(inner, nodes["feature_idx"], -1),
        limit=nodes["num_threshold"],
        left=nodes["left"],
        right=nodes["right"],
        missing=np.where(to_left, Missing.LEFT, Missing.RIGHT),
        value=nodes["value"],
        sets=numbers,
    )


def _histogram_link(model: Any, classes: tuple[str, ...], width: int) -> Any:
    if not classes:
        link = Link.EXP if model.loss in LOG_LOSSES else Link.IDENTITY
        return link_content(link, classes=classes, outputs=width)
    return link_content(Link.SIGMOID if width == 1 else Link.SOFTMAX, classes=classes, outputs=width)
