"""How columns travel to the workers: numbers side by side in one array, all others as they are.

Spark takes several times longer to send thirty columns of doubles than one column of arrays of thirty.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_scoring.models.frames import arrow_type

# a double holds each of their values
NUMBERS = frozenset({"boolean", "tinyint", "smallint", "int", "float", "double"})


@dataclass(frozen=True, kw_only=True)
class Sent:
    """Columns by name with their types: those that are sent as doubles in one array, and the others."""

    numbers: tuple[tuple[str, str], ...]
    others: tuple[str, ...]

    @staticmethod
    def of(names: Iterable[str], *, types: Mapping[str, str]) -> "Sent":
        known = [(name, types[name]) for name in names]
        return Sent(
            numbers=tuple((name, kind) for name, kind in known if kind in NUMBERS),
            others=tuple(name for name, kind in known if kind not in NUMBERS),
        )

    def expressions(self) -> list[str]:
        """What is sent, in SQL."""
        numbers = [f"cast(`{name}` as double)" for name, _ in self.numbers]
        return [*([f"array({', '.join(numbers)})"] if numbers else []), *(f"`{name}`" for name in self.others)]

    def columns(self, arrays: Sequence[pa.Array]) -> dict[str, pa.Array]:
        """The columns again, from what came."""
        if not self.numbers:
            return dict(zip(self.others, arrays, strict=True))
        return self._numbers(arrays[0]) | dict(zip(self.others, arrays[1:], strict=True))

    def _numbers(self, array: pa.ListArray) -> dict[str, pa.Array]:
        shape, flat = (len(array), len(self.numbers)), array.flatten()
        # one column after the other in memory
        values = np.ascontiguousarray(flat.to_numpy(zero_copy_only=False).reshape(shape).T)
        missing = np.asarray(flat.is_null()).reshape(shape).T if flat.null_count else None
        return {
            name: _column(values[i], None if missing is None else missing[i], type_name=kind)
            for i, (name, kind) in enumerate(self.numbers)
        }


def _column(values: npt.NDArray[np.float64], missing: npt.NDArray[np.bool_] | None, *, type_name: str) -> pa.Array:
    if missing is not None and not missing.any():
        missing = None
    if type_name == "double":
        return pa.array(values, mask=missing)
    there = values if missing is None else np.where(missing, 0, values)
    return pa.array(there.astype(arrow_type(type_name).to_pandas_dtype()), arrow_type(type_name), mask=missing)
