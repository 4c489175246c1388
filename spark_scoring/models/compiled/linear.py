"""Linear models of scikit-learn: margins, and the function from them to the score."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spark_scoring.models.compiled.content import Content
from spark_scoring.models.compiled.draft import Cell, Draft, Level, NotCompiled, Number
from spark_scoring.models.compiled.link import Link, Rule, link_content
from spark_scoring.models.compiled.operations import Numbers
from spark_scoring.models.compiled.tail import Tail

LINES = frozenset({
    "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lars", "LarsCV", "Lasso",
    "LassoCV", "LassoLars", "LassoLarsCV", "LassoLarsIC", "LinearRegression", "LinearSVR",
    "OrthogonalMatchingPursuit", "OrthogonalMatchingPursuitCV", "QuantileRegressor", "RANSACRegressor", "Ridge",
    "RidgeCV", "SGDRegressor", "TheilSenRegressor",
})  # fmt: skip
LOG_LINKS = frozenset({"PoissonRegressor", "GammaRegressor", "TweedieRegressor"})
LOGISTIC = frozenset({"LogisticRegression", "LogisticRegressionCV", "SGDClassifier"})
KINDS = LINES | LOG_LINKS | LOGISTIC


def linear(draft: Draft, model: Any, cells: Sequence[Cell], classes: tuple[str, ...]) -> Tail:
    """A fitted linear model over prepared cells.

    Raises: NotCompiled: it has several outputs, or another link than log and identity.
    """
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    if not classes and len(weights) > 1:
        raise NotCompiled(f"{type(model).__name__} with several outputs")
    start = np.broadcast_to(np.asarray(model.intercept_, dtype=np.float64), (len(weights),))
    draft.check(cells, missing=False)
    return Tail(head=_head(cells, weights, start), link=_link(model, classes, outputs=len(weights)))


def _link(model: Any, classes: tuple[str, ...], *, outputs: int) -> Content:
    kind = type(model).__name__
    if not classes:
        exp = kind in LOG_LINKS and not _is_identity(model)
        return link_content(Link.EXP if exp else Link.IDENTITY, classes=classes, outputs=outputs)
    if kind == "SGDClassifier" and model.loss != "log_loss":
        raise NotCompiled(f"SGDClassifier with loss={model.loss!r}")
    if len(classes) == 2:
        return link_content(Link.SIGMOID, classes=classes, outputs=1, rule=Rule.POSITIVE)
    link = Link.NORMALIZED if kind == "SGDClassifier" else Link.SOFTMAX
    return link_content(link, classes=classes, outputs=outputs)


def _is_identity(model: Any) -> bool:
    return type(model._base_loss.link).__name__ == "IdentityLink"


def _head(cells: Sequence[Cell], weights: Numbers, start: Numbers) -> Content:
    numbers = [(i, cell) for i, cell in enumerate(cells) if isinstance(cell, Number)]
    worth: dict[int, Numbers] = {}
    for i, cell in enumerate(cells):
        if isinstance(cell, Level):
            worth[cell.code] = worth.get(cell.code, 0.0) + np.outer(weights[:, i], cell.values)
    content = Content().number(0).doubles(start).ints([cell.place for _, cell in numbers])
    content.doubles(weights[:, [i for i, _ in numbers]])
    content.ints(list(worth)).ints([table.shape[1] for table in worth.values()])
    for table in worth.values():
        content.doubles(table)
    return content
