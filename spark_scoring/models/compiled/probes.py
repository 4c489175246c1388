"""Rows at which a model's decisions change: on every side of its limits, at every category, and at odd values."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Context, Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_scoring.models.compiled.compile import Compiled
from spark_scoring.models.compiled.draft import Draft, Origin
from spark_scoring.models.compiled.forest import Trees
from spark_scoring.models.compiled.operations import Ints, Numbers, apply
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
# whole numbers that no double is
BEYOND = (2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**60 + 1)
INTEGERS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}


@dataclass(kw_only=True, eq=False)
class _Rows:
    """Rows of the golden sample with changed cells: by column name the rows and their values, a later one counts."""

    count: int = 0
    cells: dict[str, list[tuple[Ints, Sequence[object] | Numbers]]] = field(default_factory=dict)

    def add(self, names: Iterable[str], value: object) -> None:
        """One more row, with the value in these columns."""
        for name in names:
            self.change(name, np.array([self.count]), [value])
        self.count += 1

    def change(self, name: str, rows: Ints, values: Sequence[object] | Numbers) -> None:
        self.cells.setdefault(name, []).append((rows, values))


def probes(model: Compiled, features: tuple[Feature, ...], golden: pa.Table) -> pa.RecordBatch:
    """Rows of these features, each a golden row with a few changed cells."""
    rows = _Rows()
    _odd(rows, model, features)
    _edges(rows, model.draft)
    if model.trees is not None:
        _nodes(rows, model.draft, model.trees)
    base = np.arange(rows.count) % len(golden)
    columns = [_column(feature, golden[feature.name], base, rows) for feature in features]
    return pa.RecordBatch.from_arrays(columns, names=[feature.name for feature in features])


def _column(feature: Feature, golden: pa.ChunkedArray, base: Ints, rows: _Rows) -> pa.Array:
    kind = arrow_type(feature.type)
    changed, values = np.zeros(rows.count, dtype=bool), np.empty(rows.count, dtype=object)
    for places, given in rows.cells.get(feature.name, ()):
        changed[places], values[places] = True, given
    typed = [_typed(value, feature.type) for value in values[changed].tolist()]
    kept = golden.combine_chunks().take(pa.array(base)).cast(kind)
    return pc.replace_with_mask(kept, pa.array(changed), pa.array(typed, kind, from_pandas=False))


def _typed(value: object, kind: str) -> object:
    """The value in the column's type, the nearest that there is."""
    if value is None or kind == "double" or isinstance(value, str) or (kind == "bigint" and isinstance(value, int)):
        return value
    number = float(value)  # type: ignore[arg-type]  # nothing else is ever put there
    if kind == "float":
        return float(np.float32(number)) if abs(number) < 3.4e38 else number
    if not np.isfinite(number):
        return None
    if kind == "boolean":
        return bool(number > 0)
    if kind in INTEGERS:
        most = 2 ** (INTEGERS[kind] - 1)
        return max(-most, min(most - 1, int(np.floor(number))))
    return _decimal(number, arrow_type(kind)) if kind.startswith("decimal") else None


def _decimal(number: float, kind: pa.DataType) -> Decimal | None:
    """The decimal below the number, None if it has too many digits."""
    digits = kind.precision - kind.scale
    if abs(number) >= 10.0**digits:
        return None
    return Decimal(number).quantize(Decimal(1).scaleb(-kind.scale), ROUND_FLOOR, Context(prec=2 * kind.precision))


def _odd(rows: _Rows, model: Compiled, features: tuple[Feature, ...]) -> None:
    known = {name: list(dict.fromkeys(values)) for name, values in model.draft.known.items()}
    each = max(CATEGORIES // max(len(known), 1), 1)
    for feature in features:
        values: list[object] = [None, *known.get(feature.name, [])[:each]]
        values += TEXTS if feature.type == "string" else [np.nan, *ODD]
        values += BEYOND if feature.type == "bigint" else ()
        for value in values:
            rows.add([feature.name], value)
    rows.add([feature.name for feature in features], None)
    rows.add([], None)


def _edges(rows: _Rows, draft: Draft) -> None:
    by_place: dict[int, list[float]] = {}
    for place, edge in draft.edges:
        by_place.setdefault(place, []).append(edge)
    for place, edges in by_place.items():
        origin = draft.origins.get(place)
        if origin is None:
            continue
        for value in _around(last_below(np.array(edges), origin)).ravel().tolist():
            rows.add([draft.numbers[origin.column]], value)


def _around(below: Numbers) -> Numbers:
    """Of each of them that is a number, a row: the one before, itself, the two after it."""
    below = below[np.isfinite(below)]
    above = np.nextafter(below, np.inf)
    return np.stack([np.nextafter(below, -np.inf), below, above, np.nextafter(above, np.inf)], axis=1)


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
    if not len(able):
        return
    chosen = able[np.unique(np.linspace(0, len(able) - 1, NODES).astype(int))]
    around = _around(below[chosen])
    places = rows.count + np.arange(around.size).reshape(around.shape)
    rows.count += around.size
    for c, ways, values in _ways(chosen, parent, is_left, below, column):
        rows.change(draft.numbers[c], places[ways].ravel(), np.repeat(values, around.shape[1]))
    for c in np.unique(column[chosen]).tolist():
        own = column[chosen] == c
        rows.change(draft.numbers[c], places[own].ravel(), around[own].ravel())


def _boundaries(draft: Draft, trees: Trees, numeric: npt.NDArray[np.bool_]) -> tuple[Numbers, Ints]:
    """Of each node the greatest input that goes left, and the input's number."""
    below, column = np.full(len(numeric), np.nan), np.full(len(numeric), -1)
    alike: dict[object, list[int]] = {}
    for place, origin in draft.origins.items():
        alike.setdefault(origin.operations, []).append(place)
    for places in alike.values():
        nodes = np.flatnonzero(numeric & np.isin(trees.places, places))
        limits, back = np.unique(trees.forest.limit[nodes], return_inverse=True)
        below[nodes] = last_below(limits, draft.origins[places[0]])[back]
        column[nodes] = [draft.origins[place].column for place in trees.places[nodes].tolist()]
    return below, column


def _parents(trees: Trees) -> tuple[Ints, npt.NDArray[np.bool_]]:
    forest = trees.forest
    inner = np.flatnonzero(forest.feature >= 0)
    parent, is_left = np.full(len(forest.feature), -1), np.zeros(len(forest.feature), dtype=bool)
    parent[forest.left[inner]] = parent[forest.right[inner]] = inner
    is_left[forest.left[inner]] = True
    return parent, is_left


def _ways(
    nodes: Ints, parent: Ints, is_left: npt.NDArray[np.bool_], below: Numbers, column: Ints
) -> Iterator[tuple[int, Ints, Numbers]]:
    """By column, places in `nodes` and values that lead there from the root, each as near to a limit as it can be."""
    way, at = np.arange(len(nodes)), nodes
    steps: list[tuple[Ints, Ints, npt.NDArray[np.bool_], Numbers]] = []
    while len(way):
        above = parent[at]
        limited = above >= 0
        limited[limited] = np.isfinite(below[above[limited]])
        steps.append((way[limited], column[above[limited]], is_left[at[limited]], below[above[limited]]))
        way, at = way[above >= 0], above[above >= 0]
    ways, columns, left, limits = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    for c in np.unique(columns).tolist():
        here = columns == c
        most, least = np.full(len(nodes), np.inf), np.full(len(nodes), -np.inf)
        np.minimum.at(most, ways[here & left], limits[here & left])
        np.maximum.at(least, ways[here & ~left], np.nextafter(limits[here & ~left], np.inf))
        value = np.where(np.isfinite(most), most, least)
        met = np.unique(ways[here])
        yield c, met, value[met]
