"""Scores of any number of rows, each a function of its row alone.

Linear models, neural networks and ensembles of them give other last bits for blocks of another length, so
every call gets exactly `BLOCK` rows; the last block is filled by repeating its last row. A row that makes the
model raise is found by halving, and its neighbours are scored in full blocks again: their bits do not change.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_scoring.models.contract import FeatureError, Outputs, Predict

BLOCK = 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """Per row a score and a label, or the reason why there is none and the kind of failure."""

    score: npt.NDArray[np.float64]
    label: npt.NDArray[np.object_]
    reason: npt.NDArray[np.object_]
    detail: npt.NDArray[np.object_]

    @staticmethod
    def empty(rows: int) -> "Scored":
        texts = [np.full(rows, None, dtype=object) for _ in range(3)]
        return Scored(score=np.full(rows, np.nan), label=texts[0], reason=texts[1], detail=texts[2])

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        return np.array([reason is not None for reason in self.reason], dtype=bool)

    def fail(self, rows: slice, *, reason: str, detail: str | None) -> None:
        self.reason[rows], self.detail[rows] = reason, detail


def score_blocks(batch: pa.RecordBatch, *, predict: Predict) -> Scored:
    """The scores of all rows; never raises for a row. `FEATURE`, `MODEL` and `NOT_FINITE` stand in `reason`."""
    scored = Scored.empty(batch.num_rows)
    for start in range(0, batch.num_rows, BLOCK):
        _score(batch.slice(start, BLOCK), start, predict, scored)
    infinite = ~np.isfinite(scored.score) & ~scored.failed
    scored.reason[infinite], scored.label[infinite] = "NOT_FINITE", None
    return scored


def _score(part: pa.RecordBatch, start: int, predict: Predict, scored: Scored) -> None:
    rows = slice(start, start + part.num_rows)
    try:
        outputs = _exactly(predict(_filled(part)))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a model is foreign code and may raise anything
        if part.num_rows == 1:
            # the message of a foreign error may hold values of the row
            if isinstance(error, FeatureError):
                scored.fail(rows, reason="FEATURE", detail=str(error))
            else:
                scored.fail(rows, reason="MODEL", detail=type(error).__name__)
            return
        half = part.num_rows // 2
        _score(part.slice(0, half), start, predict, scored)
        _score(part.slice(half), start + half, predict, scored)
        return
    scored.score[rows] = outputs.score[: part.num_rows]
    scored.label[rows] = outputs.label[: part.num_rows]


def _filled(part: pa.RecordBatch) -> pa.RecordBatch:
    if part.num_rows == BLOCK:
        return part
    return part.take(pa.array(np.minimum(np.arange(BLOCK), part.num_rows - 1)))


def _exactly(outputs: Outputs) -> Outputs:
    if outputs.score.shape != (BLOCK,) or outputs.label.shape != (BLOCK,):
        raise ValueError(f"a model must return one score and one label per row, not {outputs.score.shape}")
    return outputs
