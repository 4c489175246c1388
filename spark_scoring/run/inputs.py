"""What a job reads, pinned: its rows, its tables and its models, each at one version."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import sources
from spark_scoring.io.sources import Pin
from spark_scoring.models.compiled.choose import admitted
from spark_scoring.models.flavor import resolve
from spark_scoring.models.package import unregistered
from spark_scoring.models.store import cache_beside, temporary_cache
from spark_scoring.models.udf import ScoredModel
from spark_scoring.models.uris import is_registered
from spark_scoring.spec.job import Job, ModelRef, Source, check_job_against_wide
from spark_scoring.spec.plan import ROLES, Interval, ModelPin, Plan, Settings
from spark_scoring.spec.sources import public_spelling
from spark_scoring.spec.union import union_of
from spark_scoring.spec.wide import WideTable

# how jobs and plans name the source of a batch's rows
ROWS = "rows.batch"


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables of a wide table, each pinned."""

    wide: WideTable
    pins: Mapping[str, Pin]

    @property
    def versions(self) -> dict[str, int | None]:
        """Name -> version; `None` where the source keeps none."""
        return sources.versions_of(self.pins)

    @property
    def ids(self) -> dict[str, str]:
        """Name -> id of the table that has this version, where the source keeps versions."""
        return sources.ids_of(self.pins)

    def frames(self, spark: SparkSession) -> dict[str, DataFrame]:
        """Name -> frame at the pinned version."""
        return {
            name: sources.read(spark, pinned, columns=self.wide.table(name).columns)
            for name, pinned in self.pins.items()
        }


def place_of(source: Source) -> str:
    """Where a source is, told from other places and not readable."""
    return hashlib.sha256(f"{source.format} {public_spelling(source.location)}".encode()).hexdigest()


def pin_rows(spark: SparkSession, source: Source, plan: Plan, *, place: str | None, run_id: str) -> Pin:
    """The rows of an earlier run, which began with those at `place` (None where it did not write that down).

    Raises: RunError: they are another source's. Of Delta the table's id tells, wherever it lies now.
    """
    pinned = sources.pin(spark, source, name=ROWS)
    known = pinned.table_id is not None and ROWS in plan.table_ids
    if not known and place not in (None, place_of(source)):
        raise errors.other_rows(ROWS, run_id=run_id)
    assert isinstance(plan.input, Interval)
    return sources.at(pinned, plan.input.version, table_id=plan.table_ids.get(ROWS))


def pin_tables(spark: SparkSession, job: Job, wide: WideTable) -> Tables:
    """Every table that the wide table declares, at its current version.

    Raises: ConfigError: the job does not say where a table lives, or the wide table asks for more of it. RunError: it
    is not there.
    """
    check_job_against_wide(job, wide)
    places = {table.name.lower(): table for table in job.tables}
    pins = {t.name: sources.pin(spark, places[t.name.lower()].source, name=t.name) for t in wide.tables}
    return Tables(wide=wide, pins=pins)


def at_versions(tables: Tables, plan: Plan) -> Tables:
    """The same tables at the versions of an earlier plan."""
    pins = {name: sources.as_planned(pinned, plan, name=name) for name, pinned in tables.pins.items()}
    return Tables(wide=tables.wide, pins=pins)


def load_models(spark: SparkSession, job: Job) -> tuple[ScoredModel, ...]:
    """The job's models, aliases resolved, files verified, golden samples scored in the workers.

    Raises: RunError: a model is missing or unfit.
    """
    return tuple(load_model(spark, job, ref) for ref in job.models)


def load_pinned(spark: SparkSession, job: Job, pins: Sequence[ModelPin]) -> tuple[ScoredModel, ...]:
    """The models of an earlier plan, byte for byte.

    Raises: RunError: a model is gone, or its files are no longer the ones that the plan names.
    """
    models = []
    for pinned, uri in zip(pins, _uris_of(job, pins), strict=True):
        ref = ModelRef(role=pinned.role, uri=uri, share=_share_of(job, pinned), runtime=pinned.runtime)
        model = load_model(spark, job, ref)
        if model.package.digest != pinned.digest:
            raise errors.other_digest(ref.uri, planned=pinned.digest, found=model.package.digest)
        models.append(model)
    return tuple(models)


def _uris_of(job: Job, pins: Sequence[ModelPin]) -> Iterator[str]:
    # a model that was never registered is found again only where the job found it
    others = [ref for ref in job.models if not is_registered(ref.uri)]
    places = {role: [ref.uri for ref in others if ref.role == role] for role in ROLES}
    for pinned in pins:
        place = places[pinned.role] if pinned.version == unregistered(pinned.digest) else []
        yield place.pop(0) if place else f"models:/{pinned.model}/{pinned.version}"


def _share_of(job: Job, pinned: ModelPin) -> float | None:
    # plans did not always say it
    now = next((ref.share for ref in job.models if ref.role == pinned.role), None)
    return now if pinned.share is None else pinned.share


def load_model(spark: SparkSession, job: Job, ref: ModelRef) -> ScoredModel:
    """One model of the job, admitted: its golden sample gives the recorded scores where it will be scored."""
    package = resolve(ref.uri, registry=job.registry, cache_dir=_cache(job), trust=job.trust)
    return replace(admitted(spark, package, role=ref.role, runtime=ref.runtime), share=ref.share)


def wides_of(models: Sequence[ScoredModel]) -> tuple[WideTable, ...]:
    """The different wide tables of the models."""
    found: list[WideTable] = []
    for wide in (model.package.wide for model in models):
        found += [] if wide in found else [wide]
    return tuple(found)


def one_wide(models: Sequence[ScoredModel]) -> WideTable:
    """What the wide tables of the models read, as one.

    Raises: RunError: two of them do not go together.
    """
    return union_of(wides_of(models))


def model_pins(models: Sequence[ScoredModel]) -> tuple[ModelPin, ...]:
    """What the plan writes down of the models."""
    return tuple(
        ModelPin(
            role=m.role,
            model=m.package.name,
            version=m.package.version,
            digest=m.package.digest,
            runtime=m.runtime,
            share=m.share,
        )
        for m in models
    )


def settings_of(job: Job) -> Settings:
    """What the plan of a stream's commit writes down of the job's file."""
    assert job.stream is not None
    return Settings(keep=job.output.keep, time_unit=job.stream.time_unit, unknown=job.stream.unknown)


def as_planned(job: Job, plan: Plan) -> Job:
    """The job with the settings of an earlier plan of its own; as it is where the plan has none."""
    if (then := plan.settings) is None:
        return job
    job = replace(job, output=replace(job.output, keep=then.keep))
    if isinstance(plan.input, Interval):
        return job
    assert job.stream is not None
    return replace(job, stream=replace(job.stream, time_unit=then.time_unit, unknown=then.unknown))


def _cache(job: Job) -> Path:
    # not in the job's state, which is not made before a run is known to fit
    beside = cache_beside(job.registry)
    return beside if os.access(beside.parent, os.W_OK) else temporary_cache()
