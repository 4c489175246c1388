"""Trees of any library in one form, and as the flat arrays that `TreesHead.java` reads.

A node of the flat form compares one number and does nothing else. Missing values are made infinities first, once a row
and not once a node: below everything where they go left, above everything where they go right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from spark_scoring.models.compiled.content import Content
from spark_scoring.models.compiled.draft import Cell, Draft, NotCompiled, Number
from spark_scoring.models.compiled.operations import Ints, Numbers, Operation
from spark_scoring.models.compiled.ways import bits_of

GREATEST = float(np.finfo(np.float64).max)
SINGLE = float(np.finfo(np.float32).max)


class Missing(IntEnum):
    """Where a missing value goes. PLAIN: there is none. AS_ZERO: it is 0. ZERO_*: so does anything near 0."""

    PLAIN = 0
    LEFT = 1
    RIGHT = 2
    AS_ZERO = 3
    ZERO_LEFT = 4
    ZERO_RIGHT = 5


class Keys(IntEnum):
    """What nodes compare: DOUBLES in two words a node; SINGLES, their bits, or RANKS among all limits, in one."""

    DOUBLES = 0
    SINGLES = 1
    RANKS = 2


# of the word of a node, for where it leads and what it compares
WORD_BITS = 31
# a walk passes so many levels that lie together
SHARED_LEVELS = 5

_FILL = {
    Missing.LEFT: (Operation.IF_MISSING, -np.inf),
    Missing.RIGHT: (Operation.IF_MISSING, np.inf),
    Missing.AS_ZERO: (Operation.IF_MISSING, 0.0),
    Missing.ZERO_LEFT: (Operation.IF_ZERO, -np.inf),
    Missing.ZERO_RIGHT: (Operation.IF_ZERO, np.inf),
}


@dataclass(frozen=True, kw_only=True)
class CategorySet:
    """The categories, by number, that go left; and whether a missing one does, or one beyond them."""

    left: tuple[int, ...]
    size: int
    missing_left: bool
    beyond_left: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Forest:
    """Nodes of all trees in one array each. `feature` is -1 for a leaf; a node goes left if x <= `limit`.

    `sets` is the number of a node's category set, -1 for a comparison. `value`: of each node one number, or one
    for each output. `outputs`: to which output a tree of single numbers adds. `floats`: sums are kept as float32.
    `singles`: what is compared are float32 numbers.
    """

    feature: Ints
    limit: Numbers
    left: Ints
    right: Ints
    missing: Ints
    sets: Ints
    value: Numbers
    roots: Ints
    outputs: Ints
    start: Numbers
    categories: tuple[CategorySet, ...] = ()
    floats: bool = False
    singles: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class _Flat:
    """The new number of each node, children side by side, and of each tree its depth and its leaves."""

    number: Ints
    nodes: Ints
    depth: Ints
    leaves: Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class Trees:
    """A forest, of each node the place that it compares, and the content of both."""

    forest: Forest
    places: Ints
    content: Content


def trees_of(draft: Draft, forest: Forest, cells: Sequence[Cell]) -> Trees:
    """The head of a model of trees over prepared cells.

    Raises: NotCompiled: it reads a text, or has a limit that no finite number is.
    """
    flat = _flatten(forest)
    places, asked = _places(draft, forest, cells)
    first = draft.places
    draft.places += len(forest.categories)
    places = np.where(forest.sets >= 0, first + forest.sets, places)
    inner = forest.feature[flat.nodes] >= 0
    by_set = forest.sets[flat.nodes] >= 0
    own = np.arange(len(flat.nodes))
    place = np.where(inner, places[flat.nodes], draft.zero())
    limits = np.minimum(forest.limit[flat.nodes], GREATEST)
    limits = _singles_below(limits) if forest.singles else limits
    values, worth = _values(forest, flat, inner)
    # a leaf compares 0 with the number of its value, and stays where it is
    limit = np.where(by_set, 0.5, np.where(inner, limits, worth))
    following = np.where(inner, flat.number[forest.left[flat.nodes]], own)
    order = np.argsort(flat.depth, kind="stable")
    content = Content().number(1).number(int(forest.floats)).number(values.shape[1]).doubles(forest.start)
    content.number(bits_of(flat.depth, flat.leaves, place[inner])).number(_keys(forest, place))
    content.ints(place).doubles(limit).ints(following).doubles(values)
    content.ints(flat.number[forest.roots][order]).ints(flat.depth[order]).ints(order).ints(forest.outputs)
    content.number(first).ints(asked).add(_sets(forest.categories))
    return Trees(forest=forest, places=places, content=content)


def _keys(forest: Forest, place: Ints) -> Keys:
    if len(place) >= 1 << max(0, WORD_BITS - len(np.unique(place)).bit_length()):
        return Keys.DOUBLES
    return Keys.SINGLES if forest.singles else Keys.RANKS


def _singles_below(limits: Numbers) -> Numbers:
    """Of each limit the greatest float32 that is not above it: the same to every float32."""
    with np.errstate(over="ignore"):
        near = np.clip(limits, -SINGLE, SINGLE).astype(np.float32)
    return np.where(near > limits, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float64)


def _values(forest: Forest, flat: _Flat, inner: npt.NDArray[np.bool_]) -> tuple[Numbers, Ints]:
    leaves = np.flatnonzero(~inner)
    values = forest.value[flat.nodes[leaves]]
    # a forest's leaves share few values: the table of them then stays near the processor
    kinds, kind = np.unique(np.ascontiguousarray(values).view(f"V{values.shape[1] * 8}"), return_inverse=True)
    few = 2 * len(kinds) < len(leaves)
    worth = np.zeros(len(flat.nodes), dtype=np.int64)
    worth[leaves] = kind.ravel() if few else np.arange(len(leaves))
    return kinds.view(np.float64).reshape(-1, values.shape[1]) if few else values, worth


def _flatten(forest: Forest) -> _Flat:
    """The first levels of all trees, then tree by tree: the nodes that a row passes lie near each other."""
    depth = np.zeros(len(forest.roots), dtype=np.int64)
    leaves = np.zeros(len(forest.roots), dtype=np.int64)
    front, trees = forest.roots, np.arange(len(forest.roots))
    levels, parents = [], []
    while len(front):
        levels.append(front)
        inner = forest.feature[front] >= 0
        depth[trees[inner]] = len(levels)
        np.add.at(leaves, trees[~inner], 1)
        parents.append(front[inner])
        front = np.stack([forest.left[parents[-1]], forest.right[parents[-1]]], axis=1).ravel()
        trees = np.repeat(trees[inner], 2)
    number = _numbered(forest, levels, parents)
    nodes = np.concatenate(levels)
    return _Flat(number=number, nodes=nodes[np.argsort(number[nodes])], depth=depth, leaves=leaves)


def _numbered(forest: Forest, levels: Sequence[Ints], parents: Sequence[Ints]) -> Ints:
    number, below, begin = (np.full(len(forest.feature), fill) for fill in (-1, 0, 0))
    for inner in reversed(parents):
        below[inner] = 2 + below[forest.left[inner]] + below[forest.right[inner]]
    shared = np.concatenate(levels[:SHARED_LEVELS])
    number[shared] = np.arange(len(shared))
    own = parents[SHARED_LEVELS - 1 :]
    if own:
        begin[own[0]] = len(shared) + np.cumsum(below[own[0]]) - below[own[0]]
    for inner in own:
        left, right = forest.left[inner], forest.right[inner]
        number[left], number[right] = begin[inner], begin[inner] + 1
        # a row is more likely to go where there are more nodes: those follow
        first = np.where(below[left] >= below[right], left, right)
        begin[first] = begin[inner] + 2
        begin[left + right - first] = begin[inner] + 2 + below[first]
    return number


def _places(draft: Draft, forest: Forest, cells: Sequence[Cell]) -> tuple[Ints, Ints]:
    """Of each node the place that it compares, and of each category set the place that it looks at."""
    inner = forest.feature >= 0
    numeric = inner & (forest.sets < 0)
    used = np.unique(forest.feature[inner]).tolist()
    base = {feature: Number(place=draft.spread(cells[feature])) for feature in used}
    if forest.floats:
        base = dict(zip(used, _numbers(draft.apply(Operation.TO_FLOAT, list(base.values()))), strict=True))
    base |= _below_infinity(draft, forest, base, numeric)
    found = np.zeros(len(forest.feature), dtype=np.int64)
    for mode in Missing:
        nodes = numeric & (forest.missing == mode)
        features = np.unique(forest.feature[nodes]).tolist()
        given: list[Cell] = [base[feature] for feature in features]
        if features and mode in _FILL:
            operation, a = _FILL[mode]
            given = draft.apply(operation, given, a)
        places = {feature: cell.place for feature, cell in zip(features, _numbers(given), strict=True)}
        found[nodes] = [places[feature] for feature in forest.feature[nodes].tolist()]
    by_set = inner & (forest.sets >= 0)
    asked = np.zeros(len(forest.categories), dtype=np.int64)
    asked[forest.sets[by_set]] = [base[feature].place for feature in forest.feature[by_set].tolist()]
    return found, asked


def _below_infinity(
    draft: Draft, forest: Forest, base: dict[int, Number], numeric: npt.NDArray[np.bool_]
) -> dict[int, Number]:
    """Infinite inputs made finite where a tree tells just missing values from others, so that those are greater.

    Raises: NotCompiled: a tree splits at another infinity.
    """
    limits = forest.limit[numeric]
    if np.isnan(limits).any() or (limits == -np.inf).any():
        raise NotCompiled("a tree splits at minus infinity")
    features = np.unique(forest.feature[numeric][np.isinf(limits)]).tolist()
    capped = draft.apply(Operation.AT_MOST, [base[feature] for feature in features], GREATEST) if features else []
    return dict(zip(features, _numbers(capped), strict=True))


def _numbers(cells: Sequence[Cell]) -> list[Number]:
    return [cell for cell in cells if isinstance(cell, Number)]


def _sets(categories: Sequence[CategorySet]) -> Content:
    words: list[int] = []
    starts, sizes, flags = [], [], []
    for one in categories:
        starts.append(len(words))
        sizes.append(one.size)
        flags.append(int(one.missing_left) + 2 * int(one.beyond_left))
        bits = np.zeros(-(-one.size // 64) * 64, dtype=np.uint8)
        bits[list(one.left)] = 1
        words += np.packbits(bits, bitorder="little").view("<i8").tolist()
    return Content().ints(starts).ints(sizes).ints(flags).longs(words)


@dataclass(kw_only=True)
class Growing:
    """Trees gathered one after the other, each with node numbers of its own."""

    parts: list[dict[str, npt.NDArray[np.generic]]] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    count: int = 0

    def add(
        self, *, feature: npt.ArrayLike, limit: npt.ArrayLike, left: npt.ArrayLike, right: npt.ArrayLike,
        missing: npt.ArrayLike, value: npt.ArrayLike, sets: npt.ArrayLike = -1,
    ) -> None:  # fmt: skip
        """A tree whose root is node 0; `value` has one row for each node."""
        features = np.asarray(feature, dtype=np.int64)
        size = len(features)
        self.parts.append({
            "feature": features,
            "limit": np.asarray(limit, dtype=np.float64),
            "left": np.asarray(left, dtype=np.int64) + self.count,
            "right": np.asarray(right, dtype=np.int64) + self.count,
            "missing": np.broadcast_to(np.asarray(missing, dtype=np.int64), size),
            "sets": np.broadcast_to(np.asarray(sets, dtype=np.int64), size),
            "value": np.asarray(value, dtype=np.float64).reshape(size, -1),
        })  # fmt: skip
        self.roots.append(self.count)
        self.count += size

    def forest(
        self, *, start: npt.ArrayLike, outputs: npt.ArrayLike = 0, categories: Sequence[CategorySet] = (),
        floats: bool = False, singles: bool = False,
    ) -> Forest:  # fmt: skip
        """All trees.

        Raises: NotCompiled: there is none.
        """
        if not self.parts:
            raise NotCompiled("the model has no trees")
        whole = {name: np.concatenate([part[name] for part in self.parts]) for name in self.parts[0]}
        return Forest(
            **whole,
            roots=np.array(self.roots),
            outputs=np.broadcast_to(np.asarray(outputs, dtype=np.int64), len(self.roots)),
            start=np.asarray(start, dtype=np.float64),
            categories=tuple(categories),
            floats=floats,
            singles=singles,
        )
