"""What runs in the workers: one function for all models of a job. No Spark session, no MLflow, no YAML."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_scoring.errors import SparkScoringError
from spark_scoring.models.blocks import Scored, score_blocks
from spark_scoring.models.cache import CACHE
from spark_scoring.models.contract import ModelSpec

if TYPE_CHECKING:
    from pyspark import Broadcast

NOT_LOADED = "not loaded: "
TEXTS = ("role", "model", "model_version", "label", "reason", "detail")
SCORES_TYPE = (
    "array<struct<role: string, model: string, model_version: string, score: double, "
    "label: string, reason: string, detail: string>>"
)


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """What the workers get of a model. `columns`: the names under which its features come to them, in its order."""

    role: str
    name: str
    version: str
    digest: str
    spec: ModelSpec
    archive: "Broadcast[bytes]"
    columns: tuple[str, ...]


def scorer(names: tuple[str, ...], *, models: tuple[Shipped, ...]) -> Callable[..., pa.Array]:
    """The function that Spark calls: whether a row is wanted, then the columns of these names."""

    def score(*columns: pa.Array) -> pa.Array:
        return scores_of(dict(zip(names, columns[1:], strict=True)), wanted=columns[0], models=models)

    return score


def scores_of(columns: dict[str, pa.Array], *, wanted: pa.Array, models: tuple[Shipped, ...]) -> pa.Array:
    """One list of entries per row, one entry per model, null where the row is not wanted."""
    asked = np.asarray(wanted.to_numpy(zero_copy_only=False), dtype=bool)
    kept = {name: column if asked.all() else column.filter(wanted) for name, column in columns.items()}
    rows = int(asked.sum())
    scored = [_score(kept, rows, model) for model in models]
    return _lists(_entries(scored, models, rows), asked, len(models))


def _score(columns: dict[str, pa.Array], rows: int, model: Shipped) -> Scored:
    features = model.spec.features
    arrays = [columns[name] for name in model.columns]
    try:
        predict = CACHE.get(model.digest, spec=model.spec, archive=lambda: model.archive.value)
    except Exception as error:  # noqa: BLE001 - a model that cannot be loaded must not take the others with it
        failed = Scored.empty(rows)
        # our own messages hold no value of a row
        said = str(error) if isinstance(error, SparkScoringError) else type(error).__name__
        failed.fail(slice(None), reason="MODEL", detail=f"{NOT_LOADED}{said}")
        return failed
    batch = pa.RecordBatch.from_arrays(arrays, names=[feature.name for feature in features])
    return score_blocks(batch, predict=predict)


def _entries(scored: list[Scored], models: tuple[Shipped, ...], rows: int) -> pa.StructArray:
    """All entries of the first row, then all of the second, and so on."""
    texts = {
        "role": [_constant(model.role, rows) for model in models],
        "model": [_constant(model.name, rows) for model in models],
        "model_version": [_constant(model.version, rows) for model in models],
        "label": [one.label for one in scored],
        "reason": [one.reason for one in scored],
        "detail": [one.detail for one in scored],
    }
    columns = {name: pa.array(_row_by_row(texts[name]), pa.string()) for name in TEXTS}
    missing = _row_by_row([one.failed for one in scored]).astype(bool)
    columns["score"] = pa.array(_row_by_row([one.score for one in scored]).astype(float), pa.float64(), mask=missing)
    order = (*TEXTS[:3], "score", *TEXTS[3:])
    return pa.StructArray.from_arrays([columns[name] for name in order], names=list(order))


def _constant(text: str, rows: int) -> npt.NDArray[np.object_]:
    return np.full(rows, text, dtype=object)


def _row_by_row(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.stack(columns, axis=1).reshape(-1) if columns else np.array([], dtype=object)


def _lists(entries: pa.StructArray, asked: npt.NDArray[np.bool_], models: int) -> pa.ListArray:
    wanted = np.repeat(asked, models)
    places = pa.array(np.cumsum(wanted) - 1, pa.int64(), mask=~wanted)
    offsets = pa.array(np.arange(len(asked) + 1) * models, pa.int32())
    return pa.ListArray.from_arrays(offsets, entries.take(places))
