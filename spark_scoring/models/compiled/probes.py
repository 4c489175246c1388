"""Rows at which a model's decisions change: on every side of its limits, at every category, and at odd values."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_scoring.models.compiled.compile import Compiled
from spark_scoring.models.compiled.draft import Draft, Origin
from spark_scoring.models.compiled.forest import Ints, Trees
from spark_scoring.models.compiled.operations import Numbers, apply
from spark_scoring.models.contract import Feature
from spark_scoring.models.frames import arrow_type

NODES = 3000
CATEGORIES = 2000
ODD = (
    0.0, -0.0, 1.0, -1.0, 1e-35, -1e-35, 1e-36, 1e-300, 2.0**31, 2.0**53, -(2.0**53), 3e38, 3.5e38, -3.5e38, 1e300,
    -1e300, np.inf, -np.inf,
)  # fmt: skip
TEXTS = ("", " ", "\u00e9", "never shown", "never shown, and longer than eight bytes")
GREATEST = np.finfo(np.float64).max
INTEGERS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Rows of the golden sample with changed cells: base row, and a value by column name."""

    changes: list[dict[str, object]] = field(default_factory=list)

    def add(self, **change: object) -> None:
        self.changes.append(change)


def probes(model: Compiled, features: tuple[Feature, ...], golden: pa.Table) -> pa.RecordBatch:
    """Rows of these features, each a golden row with a few changed cells."""
    rows = _Rows()
    _odd(rows, model, features)
    _edges(rows, model.draft)
    if model.trees is not None:
        _nodes(rows, model.draft, model.trees)
    base = np.arange(len(rows.changes)) % len(golden)
    columns = [_column(feature, golden[feature.name], base, rows) for feature in features]
    return pa.RecordBatch.from_arrays(columns, names=[feature.name for feature in features])


def _column(feature: Feature, golden: pa.ChunkedArray, base: Ints, rows: _Rows) -> pa.Array:
    name, kind = feature.name, arrow_type(feature.type)
    changed = np.array([name in change for change in rows.changes], dtype=bool)
    values = [_typed(change[name], feature.type) for change in rows.changes if name in change]
    kept = golden.combine_chunks().take(pa.array(base)).cast(kind)
    return pc.replace_with_mask(kept, pa.array(changed), pa.array(values, kind, from_pandas=False))


def _typed(value: object, kind: str) -> object:
    """The value in the column's type, the nearest that there is."""
    if value is None or isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]  # nothing else is ever put there
    if kind in ("double", "float"):
        return float(np.float32(number)) if kind == "float" and abs(number) < 3.4e38 else number
    if not np.isfinite(number):
        return None
    if kind == "boolean":
        return bool(number > 0)
    if kind in INTEGERS:
        most = 2 ** (INTEGERS[kind] - 1)
        return max(-most, min(most - 1, int(np.floor(number))))
    return None


def _odd(rows: _Rows, model: Compiled, features: tuple[Feature, ...]) -> None:
    known = {name: list(dict.fromkeys(values)) for name, values in model.draft.known.items()}
    each = max(CATEGORIES // max(len(known), 1), 1)
    for feature in features:
        values: list[object] = [None, *known.get(feature.name, [])[:each]]
        values += TEXTS if feature.type == "string" else [np.nan, *ODD]
        for value in values:
            rows.add(**{feature.name: value})
    rows.add(**dict.fromkeys((feature.name for feature in features), None))
    rows.add()


def _edges(rows: _Rows, draft: Draft) -> None:
    by_place: dict[int, list[float]] = {}
    for place, edge in draft.edges:
        by_place.setdefault(place, []).append(edge)
    for place, edges in by_place.items():
        origin = draft.origins.get(place)
        if origin is None:
            continue
        for below in last_below(np.array(edges), origin):
            for value in _around(below):
                rows.add(**{draft.numbers[origin.column]: value})


def _around(below: float) -> Iterator[float]:
    if np.isfinite(below):
        above = np.nextafter(below, np.inf)
        yield from (float(np.nextafter(below, -np.inf)), below, float(above), float(np.nextafter(above, np.inf)))


def last_below(limits: Numbers, origin: Origin) -> Numbers:
    """Of each limit the greatest input that still is <= limit after its operations; NaN where there is none.

    Found by halving, for operations that grow with their input.
    """
    low = np.full(len(limits), _ordered(np.array([-GREATEST]))[0])
    high = np.full(len(limits), _ordered(np.array([GREATEST]))[0])
    fits = _after(_number(low), origin) <= limits
    fits &= ~(_after(_number(high), origin) <= limits)
    for _ in range(64):
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        under = _after(_number(middle), origin) <= limits
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return np.where(fits, _number(low), np.nan)


def _after(x: Numbers, origin: Origin) -> Numbers:
    for operation, a in origin.operations:
        x = apply(operation, x, a)
    return x


def _ordered(x: Numbers) -> npt.NDArray[np.int64]:
    """Doubles as integers in the same order."""
    bits = x.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _number(ordered: npt.NDArray[np.int64]) -> Numbers:
    found: Numbers = np.where(ordered < 0, np.int64(-(2**63)) - ordered, ordered).view(np.float64)
    return found


def _nodes(rows: _Rows, draft: Draft, trees: Trees) -> None:
    """For nodes of the trees, rows that reach them, on both sides of their limit."""
    forest = trees.forest
    numeric = (forest.feature >= 0) & (forest.sets < 0)
    below, column = _boundaries(draft, trees, numeric)
    parent, is_left = _parents(trees)
    able = np.flatnonzero(numeric & np.isfinite(below))
    chosen = able[np.unique(np.linspace(0, len(able) - 1, NODES).astype(int))] if len(able) else able
    for node in chosen.tolist():
        way = _way(node, parent, is_left, below, column)
        for value in _around(float(below[node])):
            change = {draft.numbers[c]: x for c, x in way.items()} | {draft.numbers[int(column[node])]: value}
            rows.add(**change)


def _boundaries(draft: Draft, trees: Trees, numeric: npt.NDArray[np.bool_]) -> tuple[Numbers, Ints]:
    """Of each node the greatest input that goes left, and the input's number."""
    below, column = np.full(len(numeric), np.nan), np.full(len(numeric), -1)
    for place in np.unique(trees.places[numeric]).tolist():
        origin = draft.origins.get(place)
        nodes = np.flatnonzero(numeric & (trees.places == place))
        if origin is not None:
            limits, back = np.unique(trees.forest.limit[nodes], return_inverse=True)
            below[nodes] = last_below(limits, origin)[back]
            column[nodes] = origin.column
    return below, column


def _parents(trees: Trees) -> tuple[Ints, npt.NDArray[np.bool_]]:
    forest = trees.forest
    inner = np.flatnonzero(forest.feature >= 0)
    parent, is_left = np.full(len(forest.feature), -1), np.zeros(len(forest.feature), dtype=bool)
    parent[forest.left[inner]] = parent[forest.right[inner]] = inner
    is_left[forest.left[inner]] = True
    return parent, is_left


def _way(node: int, parent: Ints, is_left: npt.NDArray[np.bool_], below: Numbers, column: Ints) -> dict[int, float]:
    """Values that lead from the root to the node, each as near to a limit as it can be."""
    least: dict[int, float] = {}
    most: dict[int, float] = {}
    while (above := int(parent[node])) >= 0:
        key, limit = int(column[above]), float(below[above])
        if np.isfinite(limit):
            if is_left[node]:
                most[key] = min(most.get(key, np.inf), limit)
            else:
                least[key] = max(least.get(key, -np.inf), float(np.nextafter(limit, np.inf)))
        node = above
    return least | most
