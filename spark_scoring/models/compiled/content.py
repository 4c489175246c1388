"""A compiled model as bytes, for `ModelReader.java`: numbers with the highest byte first, arrays by their length."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """Parts in the order in which they are read."""

    parts: list[bytes] = field(default_factory=list)

    def number(self, value: int) -> "Content":
        self.parts.append(struct.pack(">i", value))
        return self

    def ints(self, values: npt.ArrayLike) -> "Content":
        return self._array(values, ">i4")

    def longs(self, values: npt.ArrayLike) -> "Content":
        return self._array(values, ">i8")

    def doubles(self, values: npt.ArrayLike) -> "Content":
        return self._array(values, ">f8")

    def texts(self, values: Iterable[str]) -> "Content":
        encoded = [value.encode("utf-8") for value in values]
        self.number(len(encoded))
        for one in encoded:
            self.number(len(one)).parts.append(one)
        return self

    def add(self, other: "Content") -> "Content":
        self.parts.extend(other.parts)
        return self

    def dump(self) -> bytes:
        return b"".join(self.parts)

    def _array(self, values: npt.ArrayLike, kind: str) -> "Content":
        found = np.asarray(values).astype(kind).ravel()
        self.number(len(found)).parts.append(found.tobytes())
        return self
