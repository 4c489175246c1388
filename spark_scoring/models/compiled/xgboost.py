"""XGBoost's model as trees: numbers, limits and sums are float32, as in the library."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from spark_scoring.models.compiled.content import Content
from spark_scoring.models.compiled.draft import Cell, Draft, NotCompiled
from spark_scoring.models.compiled.forest import CategorySet, Growing, Missing, trees_of
from spark_scoring.models.compiled.link import Link, link_content
from spark_scoring.models.compiled.operations import Numbers
from spark_scoring.models.compiled.tail import Tail

SIGMOID = ("binary:logistic", "reg:logistic")
EXP = ("count:poisson", "reg:gamma", "reg:tweedie")
SOFTMAX = ("multi:softprob", "multi:softmax")
PLAIN = (
    "reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror", "reg:quantileerror",
    "binary:logitraw", "rank:ndcg", "rank:map", "rank:pairwise",
)  # fmt: skip


def boosted(draft: Draft, booster: Any, cells: Sequence[Cell], classes: tuple[str, ...]) -> Tail:
    """A Booster over prepared cells.

    Raises: NotCompiled: no trees, trees that are dropped out, or another objective.
    """
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    gradient = learner["gradient_booster"]
    if gradient["name"] != "gbtree":
        raise NotCompiled(f"XGBoost with booster '{gradient['name']}'")
    if int(learner["learner_model_param"].get("num_target", "1")) > 1:
        raise NotCompiled("XGBoost with several targets")
    growing, sets = Growing(), list[CategorySet]()
    for tree in gradient["model"]["trees"]:
        _add(growing, tree, sets)
    objective = learner["objective"]["name"]
    start = _start(learner, objective)
    outputs = np.array(gradient["model"]["tree_info"])
    forest = growing.forest(start=start, outputs=outputs, categories=sets, floats=True, singles=True)
    return Tail.of(trees_of(draft, forest, cells), _link(objective, classes, len(start)))


def _add(growing: Growing, tree: Mapping[str, Any], sets: list[CategorySet]) -> None:
    left, limit = np.array(tree["left_children"]), np.array(tree["split_conditions"], dtype=np.float32)
    inner = left >= 0
    by_set = np.array(tree["split_type"]) == 1
    default_left = np.array(tree["default_left"]) == 1
    numbers = np.full(len(left), -1)
    for place, node in enumerate(tree["categories_nodes"]):
        first, count = tree["categories_segments"][place], tree["categories_sizes"][place]
        numbers[node] = len(sets)
        sets.append(_set(tree["categories"][first : first + count], missing_left=bool(default_left[node])))
    growing.add(
        feature=np.where(inner, tree["split_indices"], -1),
        # x < limit for float32 is x <= the float32 below it
        limit=np.where(by_set, 0.0, np.nextafter(limit, np.float32(-np.inf))),
        left=left,
        right=tree["right_children"],
        missing=np.where(default_left, Missing.LEFT, Missing.RIGHT),
        sets=numbers,
        value=np.where(inner, 0.0, limit.astype(np.float64)),
    )


def _set(right: Sequence[int], *, missing_left: bool) -> CategorySet:
    """XGBoost names the categories that go right; those it never saw go left."""
    size = max(right, default=-1) + 1
    left = tuple(set(range(size)) - set(right))
    return CategorySet(left=left, size=size, missing_left=missing_left, beyond_left=True)


def _start(learner: Mapping[str, Any], objective: str) -> Numbers:
    """The margins before the first tree."""
    text = learner["learner_model_param"]["base_score"]
    base = np.array(text.strip("[]").split(","), dtype=np.float32)
    count = max(int(learner["learner_model_param"]["num_class"]), 1)
    base = np.broadcast_to(base, count) if len(base) == 1 else base
    if objective in SIGMOID:
        # float32 but for the logarithm, as the C library rounds it
        base = -np.log((np.float32(1.0) / base - np.float32(1.0)).astype(np.float64))
    elif objective in EXP:
        base = np.log(base.astype(np.float64))
    return base.astype(np.float32).astype(np.float64)


def _link(objective: str, classes: tuple[str, ...], outputs: int) -> Content:
    links = {
        **dict.fromkeys(SIGMOID, Link.SIGMOID), **dict.fromkeys(EXP, Link.EXP), **dict.fromkeys(PLAIN, Link.IDENTITY),
        **dict.fromkeys(SOFTMAX, Link.SOFTMAX),
    }  # fmt: skip
    if objective not in links:
        raise NotCompiled(f"XGBoost with objective '{objective}'")
    return link_content(links[objective], classes=classes, outputs=outputs, floats=True)
