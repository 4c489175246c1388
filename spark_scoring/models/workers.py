"""What runs in the workers: one function for all models of a job. No Spark session, no MLflow, no YAML."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_scoring.errors import SparkScoringError
from spark_scoring.models.blocks import Scored, score_blocks
from spark_scoring.models.cache import CACHE
from spark_scoring.models.contract import ModelSpec, Predict
from spark_scoring.models.failure import ModelCrash
from spark_scoring.models.guard import Guard, watched
from spark_scoring.models.isolated import ISOLATION, NotLoadedError

if TYPE_CHECKING:
    from pyspark import Broadcast

NOT_LOADED = "not loaded: "
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


def scorer(names: tuple[str, ...], *, models: tuple[Shipped, ...], guard: Guard) -> Callable[..., pa.Array]:
    """The function that Spark calls: whether a row is wanted, then the columns of these names."""

    def score(*columns: pa.Array) -> pa.Array:
        return scores_of(dict(zip(names, columns[1:], strict=True)), wanted=columns[0], models=models, guard=guard)

    return score


def scores_of(columns: dict[str, pa.Array], *, wanted: pa.Array, models: tuple[Shipped, ...], guard: Guard) -> pa.Array:
    """One list of entries per row, one entry per model, null where the row is not wanted."""
    asked = np.asarray(wanted.to_numpy(zero_copy_only=False), dtype=bool)
    kept = {name: column if asked.all() else column.filter(wanted) for name, column in columns.items()}
    rows = int(asked.sum())
    way = _way(models, guard)
    scored = [_score(kept, rows, model, way=way) for model in models]
    return _lists(_entries(scored, models, rows), asked, len(models))


@dataclass(frozen=True, kw_only=True)
class _Way:
    """How models are loaded, and what watches over their calls."""

    load: Callable[[Shipped], Predict]
    watch: Callable[[], AbstractContextManager[Callable[[], None]]]


def _way(models: tuple[Shipped, ...], guard: Guard) -> _Way:
    """In this process, which a row may end; when Spark makes the task again, each model in a process of its own."""
    from pyspark import TaskContext

    context = TaskContext.get()
    if context is None or not (guard.isolate or context.attemptNumber() > 0):
        ISOLATION.leave()
        load = partial(_load_here, wanted={model.digest for model in models})
        return _Way(load=load, watch=partial(watched, guard.timeout_s))
    ISOLATION.enter(context.taskAttemptId(), specs={model.digest: model.spec for model in models})
    return _Way(load=partial(_load_apart, timeout_s=guard.timeout_s), watch=lambda: nullcontext(_nothing))


def _load_here(model: Shipped, *, wanted: set[str]) -> Predict:
    return CACHE.get(model.digest, spec=model.spec, archive=lambda: model.archive.value, wanted=wanted)


def _load_apart(model: Shipped, *, timeout_s: float) -> Predict:
    return ISOLATION.get(model.digest, spec=model.spec, archive=lambda: model.archive.value, timeout_s=timeout_s)


def _nothing() -> None:
    """Its own process is watched from here."""


def _score(columns: dict[str, pa.Array], rows: int, model: Shipped, *, way: _Way) -> Scored:
    features = model.spec.features
    arrays = [columns[name] for name in model.columns]
    try:
        predict = way.load(model)
    except Exception as error:  # noqa: BLE001 - a model that cannot be loaded must not take the others with it
        failed = Scored.empty(rows)
        failed.fail(slice(None), reason=_reason(error), detail=f"{NOT_LOADED}{_said(error)}")
        return failed
    batch = pa.RecordBatch.from_arrays(arrays, names=[feature.name for feature in features])
    with way.watch() as before:
        return score_blocks(batch, predict=predict, before=before)


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, ModelCrash) else "MODEL"


def _said(error: Exception) -> str:
    # our own messages hold no value of a row
    ours = isinstance(error, SparkScoringError | ModelCrash | NotLoadedError)
    return str(error) if ours else type(error).__name__


def _entries(scored: list[Scored], models: tuple[Shipped, ...], rows: int) -> pa.StructArray:
    """All entries of the first row, then all of the second, and so on."""
    failed = any(one.failed.any() for one in scored)
    missing = _row_by_row([one.failed for one in scored]).astype(bool) if failed else None
    columns = {
        "role": _repeated([model.role for model in models], rows),
        "model": _repeated([model.name for model in models], rows),
        "model_version": _repeated([model.version for model in models], rows),
        "score": pa.array(_row_by_row([one.score for one in scored]).astype(float), pa.float64(), mask=missing),
        "label": _texts([one.label for one in scored], there=any(model.spec.classes for model in models)),
        "reason": _texts([one.reason for one in scored], there=failed),
        "detail": _texts([one.detail for one in scored], there=failed),
    }
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _texts(columns: Sequence[npt.NDArray[np.object_]], *, there: bool) -> pa.StringArray:
    return pa.array(_row_by_row(columns), pa.string()) if there else pa.nulls(sum(map(len, columns)), pa.string())


def _repeated(texts: Sequence[str], times: int) -> pa.StringArray:
    """The texts, again and again: without an object for each."""
    pattern = [text.encode() for text in texts]
    ends = np.cumsum(np.tile([len(text) for text in pattern], times), dtype=np.int32)
    offsets = np.concatenate([np.zeros(1, np.int32), ends])
    content = b"".join(pattern) * times
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(content))


def _row_by_row(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    if len(columns) == 1:
        return columns[0]
    return np.stack(columns, axis=1).reshape(-1) if columns else np.array([], dtype=object)


def _lists(entries: pa.StructArray, asked: npt.NDArray[np.bool_], models: int) -> pa.ListArray:
    offsets = pa.array(np.arange(len(asked) + 1) * models, pa.int32())
    if asked.all():
        return pa.ListArray.from_arrays(offsets, entries)
    wanted = np.repeat(asked, models)
    places = pa.array(np.cumsum(wanted) - 1, pa.int64(), mask=~wanted)
    return pa.ListArray.from_arrays(offsets, entries.take(places))
