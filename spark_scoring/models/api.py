"""Scores for any DataFrame, in one line."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from pyspark.sql import Column, DataFrame

from spark_scoring.models import udf
from spark_scoring.models.flavor import resolve
from spark_scoring.models.package import Package
from spark_scoring.models.registry import quiet
from spark_scoring.models.udf import ScoredModel

Model: TypeAlias = ScoredModel | Package | str | Path
CHAMPION, SHADOW = "champion", "shadow"


def score_rows(
    frame: DataFrame,
    models: Sequence[Model],
    *,
    where: Column | None = None,
    registry: str | None = None,
    trust: Sequence[str] = (),
) -> DataFrame:
    """The frame, batch or streaming, with a column `scores`: one entry per model, in the order given.

    A model is `models:/name@alias`, `models:/name/3`, `runs:/…`, the folder of a package, a `Package` or a
    `ScoredModel`. Where no role is given the first is the champion, the others are shadows. URIs are looked up once,
    now, in `registry`, which is MLflow's current one if not given; `trust` names packages, by URI or digest, whose
    code may run although no registry vouches for them.

    `scores` is array<struct<role, model, model_version, score double, label, reason, detail>>, texts but for the
    score. An entry without a score has a `reason`: `FEATURE`, `MODEL`, `MODEL_CRASH` or `NOT_FINITE`. Rows for which
    `where` is not true are not scored: their entries are null. No job is run.

    Raises: ConfigError: a feature is missing or has another type, or `scores` exists already. RunError: a model or the
        registry is not there, or the files of a package changed.
    """
    chosen = [
        _scored_model(model, CHAMPION if place == 0 else SHADOW, registry=registry, trust=trust)
        for place, model in enumerate(models)
    ]
    return udf.score_rows(frame, chosen, where=where)


def _scored_model(model: Model, role: str, *, registry: str | None, trust: Sequence[str]) -> ScoredModel:
    if isinstance(model, ScoredModel):
        return model
    if isinstance(model, Package):
        return ScoredModel(role=role, package=model)
    cache, place = Path(tempfile.gettempdir()) / f"spark-scoring-{os.getuid()}", registry or _current_registry()
    return ScoredModel(role=role, package=resolve(str(model), registry=place, cache_dir=cache, trust=trust))


def _current_registry() -> str:
    with quiet():
        import mlflow

        return str(mlflow.get_registry_uri())
