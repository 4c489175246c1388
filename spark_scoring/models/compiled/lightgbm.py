"""LightGBM's text file as trees."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from spark_scoring.models.compiled.content import Content
from spark_scoring.models.compiled.draft import Cell, Draft, NotCompiled
from spark_scoring.models.compiled.forest import CategorySet, Forest, Growing, Missing, trees_of
from spark_scoring.models.compiled.link import Link, link_content
from spark_scoring.models.compiled.operations import TINY, Operation
from spark_scoring.models.compiled.tail import Tail

EXP = ("poisson", "gamma", "tweedie")
PLAIN = ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg")
CATEGORY, DEFAULT_LEFT = 1, 2
ZERO, NAN = 1, 2


def boosted(draft: Draft, text: str, cells: Sequence[Cell], classes: tuple[str, ...]) -> Tail:
    """The model in a text file over prepared cells.

    Raises: NotCompiled: linear trees, or an objective of its own.
    """
    head, *rest = text.split("\n\nTree=")
    header = _lines(head)
    width = int(header["num_tree_per_iteration"])
    growing, sets = Growing(), list[CategorySet]()
    for part in rest:
        _add(growing, _lines(part.partition("\n\n")[0]), sets)
    outputs = np.arange(len(growing.roots)) % width
    forest = growing.forest(start=np.zeros(width), outputs=outputs, categories=sets)
    factor = float(len(growing.roots) // width) if "average_output" in head.splitlines() else 1.0
    link = _link(header.get("objective", "").split(" "), classes, width, average=factor)
    return Tail.of(trees_of(draft, forest, _without_tiny(draft, forest, cells)), link)


def _without_tiny(draft: Draft, forest: Forest, cells: Sequence[Cell]) -> list[Cell]:
    """LightGBM takes what is next to zero for zero; that matters where a limit is next to zero too."""
    near = (forest.feature >= 0) & (forest.sets < 0) & (forest.limit >= -TINY) & (forest.limit < TINY)
    features = np.unique(forest.feature[near]).tolist()
    changed = dict(zip(features, draft.apply(Operation.TO_ZERO, [cells[f] for f in features]), strict=True))
    return [changed.get(place, cell) for place, cell in enumerate(cells)]


def _lines(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _add(growing: Growing, tree: Mapping[str, str], sets: list[CategorySet]) -> None:
    if tree.get("is_linear", "0") != "0":
        raise NotCompiled("LightGBM with linear trees")
    values = _floats(tree["leaf_value"])
    inner = int(tree["num_leaves"]) - 1
    if inner == 0:
        growing.add(feature=[-1], limit=[0.0], left=[0], right=[0], missing=Missing.PLAIN, value=values[:1])
        return
    kind = _ints(tree["decision_type"])
    by_set = (kind & CATEGORY) > 0
    limit = _floats(tree["threshold"])
    numbers = np.full(inner, -1)
    numbers[by_set] = len(sets) + limit[by_set].astype(int)
    sets.extend(_sets(tree))
    leaves = len(values)
    growing.add(
        feature=np.append(_ints(tree["split_feature"]), np.full(leaves, -1)),
        limit=np.append(limit, np.zeros(leaves)),
        left=np.append(_children(tree["left_child"], inner), np.zeros(leaves)),
        right=np.append(_children(tree["right_child"], inner), np.zeros(leaves)),
        missing=np.append(_missing(kind), np.zeros(leaves)),
        sets=np.append(numbers, np.full(leaves, -1)),
        value=np.append(np.zeros(inner), values),
    )


def _children(text: str, inner: int) -> Any:
    """A negative child is a leaf; leaves stand behind the inner nodes."""
    found = _ints(text)
    return np.where(found < 0, inner + ~found, found)


def _missing(kind: Any) -> Any:
    left, how = (kind & DEFAULT_LEFT) > 0, (kind >> 2) & 3
    nan = np.where(left, Missing.LEFT, Missing.RIGHT)
    zero = np.where(left, Missing.ZERO_LEFT, Missing.ZERO_RIGHT)
    return np.where(how == NAN, nan, np.where(how == ZERO, zero, Missing.AS_ZERO))


def _sets(tree: Mapping[str, str]) -> list[CategorySet]:
    if tree.get("num_cat", "0") == "0":
        return []
    bounds, words = _ints(tree["cat_boundaries"]), _ints(tree["cat_threshold"])
    found = []
    for first, last in pairwise(bounds):
        bits = np.unpackbits(words[first:last].astype("<u4").view(np.uint8), bitorder="little")
        left = tuple(np.flatnonzero(bits).tolist())
        found.append(CategorySet(left=left, size=len(bits), missing_left=False, beyond_left=False))
    return found


def _ints(text: str) -> Any:
    return np.array(text.split(" "), dtype=np.int64)


def _floats(text: str) -> Any:
    return np.array(text.split(" "), dtype=np.float64)


def _link(objective: list[str], classes: tuple[str, ...], width: int, *, average: float) -> Content:
    name, options = objective[0], dict(one.split(":", 1) for one in objective[1:] if ":" in one)
    sigmoid = float(options.get("sigmoid", 1.0))
    if average != 1.0:
        if name not in PLAIN or "sqrt" in objective:
            raise NotCompiled(f"LightGBM's random forest with objective '{name}'")
        return link_content(Link.SHARES, classes=classes, outputs=width, factor=average)
    if classes:
        link = Link.SIGMOID if width == 1 else Link.SOFTMAX if name == "multiclass" else Link.SIGMOIDS
        return link_content(link, classes=classes, outputs=width, factor=sigmoid)
    if name in PLAIN and width == 1:
        link = Link.SQUARE if "sqrt" in objective else Link.IDENTITY
        return link_content(link, classes=classes, outputs=width)
    links = {**dict.fromkeys(EXP, Link.EXP), "cross_entropy": Link.SIGMOID, "cross_entropy_lambda": Link.LOG1P_EXP}
    if name not in links:
        raise NotCompiled(f"LightGBM with objective '{name or 'its own'}'")
    return link_content(links[name], classes=classes, outputs=width)
