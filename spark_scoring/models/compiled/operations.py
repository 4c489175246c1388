"""Operations on one number, here in numpy and by the same number in `NumberStep.java`."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = npt.NDArray[np.float64]
TINY = float(np.float32(1e-35))


class Operation(IntEnum):
    """What `NumberStep.java` can do; the value is its case there. `a` is the operation's parameter."""

    SUBTRACT = 0
    DIVIDE = 1
    MULTIPLY = 2
    ADD = 3
    AT_LEAST = 4
    AT_MOST = 5
    IF_MISSING = 6
    IF_ZERO = 7
    TO_FLOAT = 8
    IS_MISSING = 9
    LOG = 10
    LOG1P = 11
    LOG10 = 12
    SQRT = 13
    EXP = 14
    EXPM1 = 15
    ABS = 16
    SQUARE = 17
    YEO_JOHNSON = 18
    TO_ZERO = 19


def apply(operation: Operation, x: Numbers, a: float | Numbers) -> Numbers:
    """What the operation makes of each x."""
    with np.errstate(all="ignore"):
        return np.asarray(_APPLY[operation](x, a), dtype=np.float64)


def _yeo_johnson(x: Numbers, a: float | Numbers) -> Numbers:
    up, down = np.log1p(np.maximum(x, 0)), np.log1p(-np.minimum(x, 0))
    above = up if a == 0 else np.expm1(a * up) / a
    below = -down if a == 2 else -np.expm1((2 - np.asarray(a)) * down) / (2 - np.asarray(a))
    return np.where(x >= 0, above, below)


_APPLY: Mapping[Operation, Callable[[Numbers, float | Numbers], Numbers]] = {
    Operation.SUBTRACT: lambda x, a: x - a,
    Operation.DIVIDE: lambda x, a: x / a,
    Operation.MULTIPLY: lambda x, a: x * a,
    Operation.ADD: lambda x, a: x + a,
    Operation.AT_LEAST: np.maximum,
    Operation.AT_MOST: np.minimum,
    Operation.IF_MISSING: lambda x, a: np.where(np.isnan(x), a, x),
    Operation.IF_ZERO: lambda x, a: np.where(np.abs(x) > TINY, x, a),
    Operation.TO_FLOAT: lambda x, a: x.astype(np.float32).astype(np.float64),
    Operation.IS_MISSING: lambda x, a: np.isnan(x).astype(np.float64),
    Operation.LOG: lambda x, a: np.log(x),
    Operation.LOG1P: lambda x, a: np.log1p(x),
    Operation.LOG10: lambda x, a: np.log10(x),
    Operation.SQRT: lambda x, a: np.sqrt(x),
    Operation.EXP: lambda x, a: np.exp(x),
    Operation.EXPM1: lambda x, a: np.expm1(x),
    Operation.ABS: lambda x, a: np.abs(x),
    Operation.SQUARE: lambda x, a: x * x,
    Operation.YEO_JOHNSON: _yeo_johnson,
    Operation.TO_ZERO: lambda x, a: np.where(np.abs(x) <= TINY, 0.0, x),
}
