"""A model under compilation: the places of its row, and the steps that fill them.

A column on its way through the preparation is one of three cells: a number in a place of the row, a text, or a
*level*: a value that depends on a category alone. What a scaler does to a level is done here, once for each category;
so a one-hot encoding of any width costs a row one look at a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spark_scoring.models.compiled.content import Content
from spark_scoring.models.compiled.operations import Numbers, Operation, apply
from spark_scoring.models.contract import Feature
from spark_scoring.models.matrix import NUMBERS

STEPS = {"numbers": 0, "check": 1, "text code": 2, "number code": 3, "bin code": 4, "check code": 5, "spread": 6}
EXACT_DIGITS = 15


class NotCompiled(Exception):
    """The model, or a part of it, has no compiled form; the text says which part."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number in a place of the row; NaN where it is missing."""

    place: int


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text argument; `missing` is what a null is to the library, `fill` stands in for it."""

    argument: int
    name: str
    missing: float | None
    fill: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Level:
    """A value for each place of a code: the known categories, then an unknown one, then a missing one."""

    code: int
    values: Numbers


Cell: TypeAlias = Number | Text | Level


@dataclass(frozen=True, kw_only=True)
class Origin:
    """How a place came about: the number of the input, and what was done to it in order."""

    column: int
    operations: tuple[tuple[Operation, float], ...] = ()


@dataclass(kw_only=True)
class Draft:
    """`numbers` and `texts` are the inputs in the order of the arguments; `known`: the categories met, by input."""

    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    places: int
    codes: int = 0
    steps: list[Content] = field(default_factory=list)
    origins: dict[int, Origin] = field(default_factory=dict)
    known: dict[str, list[object]] = field(default_factory=dict)
    edges: list[tuple[int, float]] = field(default_factory=list)
    shared: dict[tuple[object, ...], int] = field(default_factory=dict)

    @staticmethod
    def of(features: Sequence[Feature], *, nan_texts: bool) -> "tuple[Draft, list[Cell]]":
        """A draft that reads these columns, and their cells in the same order. With `nan_texts` a null text is NaN.

        Raises: NotCompiled: a column is neither a number nor a text.
        """
        for feature in features:
            _check(feature)
        texts = tuple(feature.name for feature in features if feature.type == "string")
        numbers = tuple(feature.name for feature in features if feature.type != "string")
        draft = Draft(numbers=numbers, texts=texts, places=len(numbers))
        draft.origins.update({place: Origin(column=place) for place in range(len(numbers))})
        missing = np.nan if nan_texts else None
        cells: list[Cell] = [
            Text(argument=texts.index(f.name), name=f.name, missing=missing)
            if f.name in texts
            else Number(place=numbers.index(f.name))
            for f in features
        ]
        return draft, cells

    def apply(self, operation: Operation, cells: Sequence[Cell], a: npt.ArrayLike = 0.0) -> list[Cell]:
        """The cells after an operation, each with its own `a`.

        Raises: NotCompiled: one is a text.
        """
        given = np.broadcast_to(np.asarray(a, dtype=np.float64), (len(cells),))
        moved = [place for place, cell in enumerate(cells) if isinstance(cell, Number)]
        if moved:
            step = Content().number(STEPS["numbers"]).number(operation)
            step.ints([_place(cells[i]) for i in moved]).ints(self.places + np.arange(len(moved)))
            self.steps.append(step.doubles(given[moved]))
        found: list[Cell] = []
        for cell, parameter in zip(cells, given.tolist(), strict=True):
            if isinstance(cell, Level):
                found.append(Level(code=cell.code, values=apply(operation, cell.values, parameter)))
            else:
                found.append(self._moved(_place(cell), operation, parameter))
        return found

    def _moved(self, place: int, operation: Operation, a: float) -> Number:
        if origin := self.origins.get(place):
            known = (*origin.operations, (operation, a))
            self.origins[self.places] = Origin(column=origin.column, operations=known)
        self.places += 1
        return Number(place=self.places - 1)

    def check(self, cells: Sequence[Cell], *, missing: bool) -> None:
        """Reject rows in which one of the cells is infinite, or missing unless that is allowed."""
        places = sorted({_place(cell) for cell in cells if not isinstance(cell, Level)})
        if places:
            self.steps.append(Content().number(STEPS["check"]).number(int(missing)).ints(places))
        for cell in cells:
            if isinstance(cell, Level):
                bad = np.isinf(cell.values) if missing else ~np.isfinite(cell.values)
                self.refuse(cell.code, np.flatnonzero(bad))

    def refuse(self, code: int, places: npt.ArrayLike) -> None:
        """Reject rows whose code is one of these places."""
        wanted = np.asarray(places, dtype=int)
        key = ("refuse", code, tuple(wanted.tolist()))
        if len(wanted) and key not in self.shared:
            self.shared[key] = 1
            self.steps.append(Content().number(STEPS["check code"]).number(code).ints(wanted))

    def text_code(self, cell: Text, known: Sequence[str]) -> int:
        """The code of a text among known ones."""
        missing = len(known) + 1
        if cell.fill is not None:
            missing = known.index(cell.fill) if cell.fill in known else len(known)
        self.known.setdefault(cell.name, []).extend(known)
        step = Content().number(STEPS["text code"]).number(cell.argument)
        return self._code(("text", cell.argument, missing, *known), step, Content().number(missing).texts(known))

    def number_code(self, cell: Number, known: Numbers) -> int:
        """The code of a number among known ones."""
        order = np.argsort(known, kind="stable")
        if origin := self.origins.get(cell.place):
            self.known.setdefault(self.numbers[origin.column], []).extend(known.tolist())
        step = Content().number(STEPS["number code"]).number(cell.place)
        rest = Content().doubles(known[order] + 0.0).ints(order)
        return self._code(("number", cell.place, *known.tolist()), step, rest)

    def bin_code(self, cell: Number, edges: Numbers) -> int:
        """The code of a number's bin: how many edges are not above it."""
        self.edges.extend((cell.place, edge) for edge in edges.tolist())
        step = Content().number(STEPS["bin code"]).number(cell.place)
        return self._code(("bin", cell.place, *edges.tolist()), step, Content().doubles(edges).ints([]))

    def spread(self, cell: Cell) -> int:
        """A place that holds the cell's number."""
        if not isinstance(cell, Level):
            return _place(cell)
        key = ("spread", cell.code, cell.values.tobytes())
        if key not in self.shared:
            step = Content().number(STEPS["spread"]).number(cell.code).number(self.places)
            self.steps.append(step.doubles(cell.values))
            self.shared[key] = self.places
            self.places += 1
        return self.shared[key]

    def zero(self) -> int:
        """A place that is 0 in every row."""
        if ("zero",) not in self.shared:
            self.shared["zero",] = self.places
            self.places += 1
        return self.shared["zero",]

    def _code(self, key: tuple[object, ...], step: Content, rest: Content) -> int:
        if key not in self.shared:
            self.steps.append(step.number(self.codes).add(rest))
            self.shared[key] = self.codes
            self.codes += 1
        return self.shared[key]

    def dump(self, head: Content, link: Content) -> bytes:
        """The model's content, with what comes after the steps."""
        whole = Content().number(self.places).number(self.codes).number(len(self.steps))
        for step in self.steps:
            whole.add(step)
        return whole.add(head).add(link).dump()


def _place(cell: Cell) -> int:
    if isinstance(cell, Text):
        raise NotCompiled(f"column '{cell.name}' is text, and no encoder takes it")
    if isinstance(cell, Level):
        raise NotCompiled("an encoder stands behind another encoder")
    return cell.place


def _check(feature: Feature) -> None:
    kind, _, digits = feature.type.partition("(")
    if kind != "string" and kind not in NUMBERS:
        raise NotCompiled(f"column '{feature.name}' is {feature.type}")
    if kind == "decimal" and int(digits.partition(",")[0]) > EXACT_DIGITS:
        raise NotCompiled(f"column '{feature.name}' is {feature.type}, which can hold more digits than a double")
