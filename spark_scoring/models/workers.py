"""What runs in the workers: one function for all models of a job. No Spark session, no MLflow, no YAML."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from spark_scoring.errors import SparkScoringError
from spark_scoring.models.blocks import Scored, score_blocks
from spark_scoring.models.cache import CACHE
from spark_scoring.models.contract import ModelSpec, Predict, placed
from spark_scoring.models.failure import ModelCrash
from spark_scoring.models.guard import Guard, watched
from spark_scoring.models.isolated import ISOLATION, NotLoadedError
from spark_scoring.models.sent import Sent

if TYPE_CHECKING:
    from pyspark import Broadcast

    from spark_scoring.models.remote import Carried

NOT_LOADED = "not loaded: "
_TOLD = pa.struct({"label": pa.string(), "reason": pa.string(), "detail": pa.string()})


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """What the workers get of a model. `columns`: the names under which its features come to them, in its order."""

    role: str
    name: str
    version: str
    digest: str
    spec: ModelSpec
    archive: "Broadcast[bytes] | Carried"
    columns: tuple[str, ...]


def scorer(sent: Sent, *, models: tuple[Shipped, ...], guard: Guard) -> Callable[..., pa.Array]:
    """The function that Spark calls: whether a row is wanted, then what was sent."""

    def score(*columns: pa.Array) -> pa.Array:
        return scores_of(sent.columns(columns[1:]), wanted=columns[0], models=models, guard=guard)

    return score


def answer_type(models: int) -> str:
    """What comes back of the workers: all that differs from row to row, and nothing else.

    For each model a score, null where there is none, and the place of its label among the model's classes, -1 for none.
    What else there is to tell of a row, one entry for each model, is null for nearly all rows.
    """
    fields = [f"score_{i}: double, label_{i}: int" for i in range(models)]
    return f"struct<{', '.join(fields)}, told: array<struct<label: string, reason: string, detail: string>>>"


def scores_of(columns: dict[str, pa.Array], *, wanted: pa.Array, models: tuple[Shipped, ...], guard: Guard) -> pa.Array:
    """What the models say of each row, null where the row is not wanted; see `answer_type`."""
    asked = np.asarray(wanted.to_numpy(zero_copy_only=False), dtype=bool)
    kept = {name: column if asked.all() else column.filter(wanted) for name, column in columns.items()}
    rows = int(asked.sum())
    way = _way(models, guard)
    answer = _answer([_score(kept, rows, model, way=way) for model in models], models=models)
    if rows < len(asked):
        answer = answer.take(pa.array(np.cumsum(asked) - 1, pa.int64(), mask=~asked))
    return answer


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
        return score_blocks(batch, predict=predict, framed=model.spec.framed, before=before)


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, ModelCrash) else "MODEL"


def _said(error: Exception) -> str:
    # our own messages hold no value of a row
    ours = isinstance(error, SparkScoringError | ModelCrash | NotLoadedError)
    return str(error) if ours else type(error).__name__


def _answer(scores: Sequence[Scored], *, models: tuple[Shipped, ...]) -> pa.StructArray:
    columns = {}
    for i, (scored, model) in enumerate(zip(scores, models, strict=True)):
        failed = scored.failed if scored.failed.any() else None
        columns[f"score_{i}"] = pa.array(scored.score, pa.float64(), mask=failed)
        label = placed(scored.place, scored.names, among=model.spec.classes)
        columns[f"label_{i}"] = pa.array(label, pa.int32())
    columns["told"] = _told(scores, models)
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _told(scores: Sequence[Scored], models: tuple[Shipped, ...]) -> pa.ListArray:
    """For each row one entry for each model, where one of them failed or has a label that is none of its classes."""
    others = np.zeros(len(scores[0].score), dtype=bool)
    for scored, model in zip(scores, models, strict=True):
        others |= scored.failed
        if not set(scored.names) <= set(model.spec.classes):
            others |= (scored.place >= 0) & (placed(scored.place, scored.names, among=model.spec.classes) < 0)
    if not others.any():
        return pa.nulls(len(others), pa.list_(_TOLD))
    texts = [[scored.label[others], scored.reason[others], scored.detail[others]] for scored in scores]
    columns = [pa.array(np.stack(column, axis=1).ravel(), pa.string()) for column in zip(*texts, strict=True)]
    entries = pa.StructArray.from_arrays(columns, fields=list(_TOLD))
    ends = np.concatenate([[0], np.cumsum(others)]) * len(models)
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), entries, mask=pa.array(~others))
