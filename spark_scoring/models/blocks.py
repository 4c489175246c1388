"""Scores of any number of rows, each a function of its row alone.

Linear models, neural networks and ensembles of them give other last bits for blocks of another length, so
every call gets exactly `BLOCK` rows; the last block is filled by repeating its last row. A row that makes the
model raise is found by halving, and its neighbours are scored in full blocks again: their bits do not change.
A row that ends the model's process is found in fewer steps, since each costs a new process.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_scoring.models.contract import Feature, Outputs, Predict, RowByRow, placed
from spark_scoring.models.failure import ModelCrash, ModelGivenUp, failure_of
from spark_scoring.models.frames import alike

BLOCK = 1024
MOST = 16 * BLOCK
# a matrix of one row lies by rows and by columns, and NumPy takes it for either
FEWEST = 2
HALVES, PARTS = 2, 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """Per row a score and its label, as the place in `names`, or why there is none and the kind of failure."""

    score: npt.NDArray[np.float64]
    place: npt.NDArray[np.int32]
    names: list[str]
    reason: npt.NDArray[np.object_]
    detail: npt.NDArray[np.object_]
    failed: npt.NDArray[np.bool_]

    @staticmethod
    def empty(rows: int) -> "Scored":
        reason, detail = (np.full(rows, None, dtype=object) for _ in range(2))
        score, place, failed = np.full(rows, np.nan), np.full(rows, -1, np.int32), np.zeros(rows, dtype=bool)
        return Scored(score=score, place=place, names=[], reason=reason, detail=detail, failed=failed)

    @property
    def label(self) -> npt.NDArray[np.object_]:
        """The labels as text, None for none."""
        return np.array([*self.names, None], dtype=object)[self.place]

    def take(self, rows: slice, outputs: Outputs) -> None:
        """What the model says of these rows; of a block that was filled up, its first rows."""
        self.names.extend(name for name in outputs.names if name not in self.names)
        count = rows.stop - rows.start
        self.score[rows] = outputs.score[:count]
        self.place[rows] = placed(outputs.label, outputs.names, among=self.names)[:count]

    def put(self, rows: npt.NDArray[np.intp], part: "Scored") -> None:
        """What was said of these rows by themselves."""
        self.names.extend(name for name in part.names if name not in self.names)
        self.score[rows], self.place[rows] = part.score, placed(part.place, part.names, among=self.names)
        self.reason[rows], self.detail[rows], self.failed[rows] = part.reason, part.detail, part.failed

    def fail(self, rows: slice | npt.NDArray[np.bool_], *, reason: str, detail: str | None = None) -> None:
        self.reason[rows], self.detail[rows] = reason, detail
        self.place[rows], self.failed[rows] = -1, True


def score_blocks(
    batch: pa.RecordBatch,
    *,
    predict: Predict,
    framed: Sequence[Feature],
    before: Callable[[], None] = lambda: None,
) -> Scored:
    """The scores of all rows; never raises for a row. `before` is called before each block.

    `framed` are the columns that reach pandas: rows are scored apart from those that would change their dtypes.
    `FEATURE`, `MODEL`, `MODEL_CRASH` and `NOT_FINITE` stand in `reason`.
    """
    groups = alike(batch, framed)
    if len(groups) < 2:
        return _in_blocks(batch, predict=predict, before=before)
    whole = Scored.empty(batch.num_rows)
    for rows in groups:
        whole.put(rows, _in_blocks(batch.take(pa.array(rows)), predict=predict, before=before))
    return whole


def _in_blocks(batch: pa.RecordBatch, *, predict: Predict, before: Callable[[], None]) -> Scored:
    scored = Scored.empty(batch.num_rows)
    step = MOST if isinstance(predict, RowByRow) else BLOCK
    for start in range(0, batch.num_rows, step):
        _score(batch.slice(start, step), start, predict=predict, before=before, scored=scored)
    scored.fail(~np.isfinite(scored.score) & ~scored.failed, reason="NOT_FINITE")
    return scored


def asked(predict: Predict, block: pa.RecordBatch) -> Outputs:
    """What the model says of some rows. Raises: ValueError: not one score and label per row, or a label has no name."""
    outputs = predict(block)
    if outputs.score.shape != (block.num_rows,) or outputs.label.shape != (block.num_rows,):
        raise ValueError(f"a model must return one score and one label per row, not {outputs.score.shape}")
    if outputs.label.size and not -1 <= outputs.label.min() <= outputs.label.max() < len(outputs.names):
        raise ValueError("a model's labels must be places in their names, or -1")
    return outputs


def _score(part: pa.RecordBatch, start: int, *, predict: Predict, before: Callable[[], None], scored: Scored) -> None:
    rows = slice(start, start + part.num_rows)
    before()
    try:
        outputs = asked(predict, filled(part, FEWEST if isinstance(predict, RowByRow) else BLOCK))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a model is foreign code and may raise anything
        failure = failure_of(error)
        if part.num_rows == 1 or isinstance(failure, ModelGivenUp):
            scored.fail(rows, reason=failure.reason, detail=failure.detail)
            return
        step = -(-part.num_rows // (PARTS if isinstance(failure, ModelCrash) else HALVES))
        for at in range(0, part.num_rows, step):
            _score(part.slice(at, step), start + at, predict=predict, before=before, scored=scored)
        return
    scored.take(rows, outputs)


def filled(part: pa.RecordBatch, least: int) -> pa.RecordBatch:
    """The rows, the last one repeated until there are so many."""
    if part.num_rows >= least:
        return part
    return part.take(pa.array(np.minimum(np.arange(least), part.num_rows - 1)))
