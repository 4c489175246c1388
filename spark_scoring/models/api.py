"""Scores for any DataFrame, in one line."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias
from weakref import WeakKeyDictionary

from pyspark import SparkContext
from pyspark.sql import Column, DataFrame, SparkSession

from spark_scoring.errors import bad_value, no_models
from spark_scoring.jvm.functions import is_remote
from spark_scoring.models import udf
from spark_scoring.models.compiled.choose import admitted
from spark_scoring.models.flavor import resolve
from spark_scoring.models.package import Package
from spark_scoring.models.registry import quiet
from spark_scoring.models.store import temporary_cache
from spark_scoring.models.udf import ScoredModel
from spark_scoring.spec.models import RUNTIMES

Model: TypeAlias = ScoredModel | Package | str | Path
CHAMPION, SHADOW = "champion", "shadow"
# by Spark application, of each digest and runtime asked for: its golden sample is scored once
_ADMITTED: "WeakKeyDictionary[SparkContext | SparkSession, dict[tuple[str, str | None], ScoredModel]]"
_ADMITTED = WeakKeyDictionary()


def score_rows(
    frame: DataFrame,
    models: Model | Sequence[Model],
    *,
    where: Column | None = None,
    registry: str | None = None,
    trust: Sequence[str] = (),
    runtime: str | None = None,
) -> DataFrame:
    """The frame, batch or streaming, with a column `scores`: one entry per model, in the order given.

    A model is `models:/name@alias`, `models:/name/3`, `runs:/…`, the folder of a package, a `Package` or a
    `ScoredModel`; one alone needs no list. Where no role is given the first is the champion, the others are shadows.
    URIs are looked up once, now, in `registry`, which is MLflow's current one if not given; `trust` names packages, by
    URI or digest, whose code may run although no registry vouches for them.

    A model is admitted first, as a job admits it: its golden sample must give its recorded scores, and it is scored in
    the JVM where its compiled form agrees with the library; `runtime`, `arrow` or `compiled`, asks for one form. That
    runs small jobs, once for each model; over `frame` none is run. A `ScoredModel` is taken as it is. With Spark
    Connect every model is scored in its Arrow form; the package must be installed where the workers are.

    `scores` is array<struct<role, model, model_version, score double, label, reason, detail>>, texts but for the
    score. An entry without a score has a `reason`: `FEATURE`, `MODEL`, `MODEL_CRASH` or `NOT_FINITE`. Rows for which
    `where` is not true are not scored: their entries are null.

    Raises: ConfigError: there is no model, or no such runtime, a feature is missing or has another type, or `scores`
        exists already. RunError: a model or the registry is not there, the files of a package changed, or a model does
        not give its recorded scores.
    """
    given = [models] if isinstance(models, ScoredModel | Package | str | Path) else models
    if not given:
        raise no_models()
    if runtime is not None and runtime not in RUNTIMES:
        raise bad_value("score_rows: runtime", given=runtime, allowed=" or ".join(RUNTIMES), known=RUNTIMES)
    place = _Place(spark=frame.sparkSession, registry=registry, trust=trust, runtime=runtime)
    roles = [CHAMPION, *[SHADOW] * (len(given) - 1)]
    return udf.score_rows(frame, [place.admitted(*pair) for pair in zip(given, roles, strict=True)], where=where)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where models are looked up and admitted."""

    spark: SparkSession
    registry: str | None
    trust: Sequence[str]
    runtime: str | None

    def admitted(self, model: Model, role: str) -> ScoredModel:
        if isinstance(model, ScoredModel):
            return model
        package = model if isinstance(model, Package) else self._resolved(str(model))
        known = _ADMITTED.setdefault(self.spark if is_remote(self.spark) else self.spark.sparkContext, {})
        key = package.digest, self.runtime
        if key not in known:
            known[key] = admitted(self.spark, package, role=role, runtime=self.runtime)
        return replace(known[key], package=package, role=role)

    def _resolved(self, uri: str) -> Package:
        registry = self.registry or _current_registry()
        return resolve(uri, registry=registry, cache_dir=temporary_cache(), trust=self.trust)


def _current_registry() -> str:
    with quiet():
        import mlflow

        return str(mlflow.get_registry_uri())
