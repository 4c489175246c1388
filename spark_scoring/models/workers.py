"""What runs in the workers: one function for all models of a job. No Spark session, no MLflow, no YAML."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
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
_FAILURE = pa.struct({"reason": pa.string(), "detail": pa.string()})


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


def answer_name(place: int) -> str:
    """The field in which a model's answer comes back."""
    return f"m{place}"


def answer_type(models: tuple[Shipped, ...]) -> str:
    """What comes back of the workers: all that differs from row to row, and nothing else."""
    fields = [
        f"{answer_name(i)}: struct<score: double, {'label: string, ' if model.spec.classes else ''}"
        "failure: struct<reason: string, detail: string>>"
        for i, model in enumerate(models)
    ]
    return f"struct<{', '.join(fields)}>"


def scores_of(columns: dict[str, pa.Array], *, wanted: pa.Array, models: tuple[Shipped, ...], guard: Guard) -> pa.Array:
    """What each model says of each row, in fields of their own, null where the row is not wanted; see `answer_type`."""
    asked = np.asarray(wanted.to_numpy(zero_copy_only=False), dtype=bool)
    kept = {name: column if asked.all() else column.filter(wanted) for name, column in columns.items()}
    rows = int(asked.sum())
    way = _way(models, guard)
    answers = [_answer(_score(kept, rows, model, way=way), has_label=bool(model.spec.classes)) for model in models]
    if rows < len(asked):
        places = pa.array(np.cumsum(asked) - 1, pa.int64(), mask=~asked)
        answers = [answer.take(places) for answer in answers]
    return pa.StructArray.from_arrays(answers, names=[answer_name(i) for i in range(len(models))])


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


def _answer(scored: Scored, *, has_label: bool) -> pa.StructArray:
    failed = scored.failed if scored.failed.any() else None
    columns = {"score": pa.array(scored.score.astype(float, copy=False), pa.float64(), mask=failed)}
    if has_label:
        columns["label"] = pa.array(scored.label, pa.string())
    columns["failure"] = _failures(scored) if failed is not None else pa.nulls(len(scored.score), _FAILURE)
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _failures(scored: Scored) -> pa.StructArray:
    told = [pa.array(scored.reason, pa.string()), pa.array(scored.detail, pa.string())]
    return pa.StructArray.from_arrays(told, fields=list(_FAILURE), mask=pa.array(~scored.failed))
