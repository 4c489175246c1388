"""Explain: why one row got its score, step by step, by the transform and the scorer of the runners."""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring.io import sources
from spark_scoring.models.udf import ScoredModel
from spark_scoring.run import inputs, output
from spark_scoring.run.prepared import AtVersions
from spark_scoring.run.reach import Reach, reach_of
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Interval, Plan, iso
from spark_scoring.spec.wide import Step, WideTable
from spark_scoring.watch.found import Asked, Found, found_row
from spark_scoring.wide import StepStrategy, strategies, transform
from spark_scoring.wide.met import Match, match_of, with_matches
from spark_scoring.wide.prune import steps_read

__all__ = ["Asked", "ExplainedModel", "ExplainedStep", "Explanation", "explain"]

Values = Mapping[str, Any]
"""Column -> value, as JSON has it: instants and decimals as texts, bytes as base64."""


@dataclass(frozen=True, kw_only=True)
class ExplainedStep:
    """One step for this row; `roles`: of the models whose wide table has it, if the job has several.

    `match`: what it met in the table; None where none is joined, or the step is left out (`read` is False).
    """

    roles: tuple[str, ...]
    kind: str
    step: str
    table: str | None
    version: int | None
    strategy: str | None
    why: str
    read: bool
    match: Match | None
    added: Values


@dataclass(frozen=True, kw_only=True)
class ExplainedModel:
    """A model, the columns it reads of the wide table with their values, and what it said.

    `score` is None with a `reason`, or where the row was rejected before it came to a model.
    """

    role: str
    model: str
    version: str
    runtime: str
    why: str
    served: bool
    features: Values
    score: float | None
    label: str | None
    reason: str | None
    detail: str | None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A row from its input to its score. `equal`: how many rows are equal to it, itself included.

    `origin`: where it was read, and which versions scored it.
    """

    key: Mapping[str, str]
    time: datetime
    origin: str
    equal: int
    input: Values
    steps: tuple[ExplainedStep, ...]
    outcome: str
    reason: str | None
    detail: str | None
    models: tuple[ExplainedModel, ...]


def explain(spark: SparkSession, job: Job, asked: Asked, *, clock: datetime, stream: bool = False) -> Explanation:
    """Why the row that is asked for got its score, or was rejected.

    A batch row is explained with the models and tables of now. A row of the stream (`stream`, or a job without batch
    rows) with those of the commit that scored it.

    Raises: ConfigError: the job has no such rows, or the key does not fit. RunError: there is no such row, there are
    several that differ, or a version is gone.
    """
    with (
        found_row(spark, job, asked, stream=stream) as found,
        sources.readable(spark, found.tables.pins.values()),
    ):
        reach = reach_of(found.rows, found.tables.wide)
        rows = {wide: _Finished.of(spark, found, wide, reach=reach) for wide in inputs.wides_of(found.models)}
        scored = _scored(spark, job, found, reach=reach, clock=clock)
    return Explanation(
        key=dict(found.key),
        time=asked.time,
        origin=found.origin,
        equal=found.equal,
        input={own.name: _of_rows(own.name, rows.values()) for own in found.tables.wide.rows.columns},
        steps=tuple(step for finished in rows.values() for step in finished.steps(found, alone=len(rows) == 1)),
        outcome=scored["outcome"],
        reason=scored["reason"],
        detail=scored["reason_detail"],
        models=tuple(_models(found.models, rows, scored)),
    )


@dataclass(frozen=True, kw_only=True)
class _Finished:
    """The row after the steps of one wide table that somebody reads, and what each of them met."""

    wide: WideTable
    models: tuple[ScoredModel, ...]
    read: tuple[Step, ...]
    strategies: tuple[StepStrategy, ...]
    values: Values
    matches: tuple[Match | None, ...]

    @staticmethod
    def of(spark: SparkSession, found: Found, wide: WideTable, *, reach: Reach) -> "_Finished":
        models = tuple(model for model in found.models if model.package.wide == wide)
        needed = frozenset(output.feature_names(models))
        read, tables = steps_read(wide, needed=needed), found.tables.frames(spark)
        # without the record, whose timestamp may be one that Python cannot hold, and what only others read of the rows
        rows = found.rows.drop("__source", "__raw", *wide.columns_added())
        finished = transform(wide, rows, tables, needed=needed, within=reach.times, keys=reach.keys)
        met = with_matches(finished, tables, wide=wide, steps=read, within=reach.times, keys=reach.keys)
        (row,) = met.toArrow().to_pylist()
        return _Finished(
            wide=wide,
            models=models,
            read=read,
            strategies=strategies(wide, tables, needed=needed),
            values={name.lower(): value for name, value in row["wide"].items()},
            matches=tuple(match_of(step, row.get(f"match_{i}"), time=row["at"]) for i, step in enumerate(read)),
        )

    def value(self, name: str) -> Any:
        return _plain(self.values[name.lower()])

    def steps(self, found: Found, *, alone: bool) -> list[ExplainedStep]:
        """Every step in its order; without the roles if there is no other wide table."""
        matches = dict(zip(self.read, self.matches, strict=True))
        return [
            ExplainedStep(
                roles=() if alone else tuple(model.role for model in self.models),
                kind=how.step.split(" ")[0].rstrip(":"),
                step=how.step,
                table=how.table,
                version=found.tables.versions[how.table] if how.table else None,
                strategy=how.strategy,
                why=how.why,
                read=how.read,
                match=matches.get(step),
                added={name: self.value(name) for name in how.adds} if how.read else {},
            )
            for step, how in zip(self.wide.steps, self.strategies, strict=True)
        ]


def _of_rows(name: str, finished: Iterable[_Finished]) -> Any:
    """The row's own value of a column, which others may compute."""
    return next(one.value(name) for one in finished if name in {own.name for own in one.wide.rows.columns})


def _scored(spark: SparkSession, job: Job, found: Found, *, reach: Reach, clock: datetime) -> Mapping[str, Any]:
    """The row as the runners would write it."""
    plan = Plan(
        commit_id=f"{job.name}/explain",
        clock=clock,
        input=Interval(bounds=None),
        tables=found.tables.versions,
        models=inputs.model_pins(found.models),
    )
    tables = AtVersions.once(spark, found.tables)
    frame = output.scored(found.rows, tables, job=job, models=found.models, plan=plan, reach=reach)
    (row,) = frame.select("outcome", "reason", "reason_detail", "role", "scores").toArrow().to_pylist()
    return dict(row)


def _models(
    models: Sequence[ScoredModel], rows: Mapping[WideTable, _Finished], scored: Mapping[str, Any]
) -> list[ExplainedModel]:
    # a row that no wide table lets through has no entries
    entries = scored["scores"] or [{}] * len(models)
    return [
        ExplainedModel(
            role=model.role,
            model=model.package.name,
            version=model.package.version,
            runtime=model.runtime,
            why=model.why,
            served=model.role == scored["role"],
            features={feature.name: rows[model.package.wide].value(feature.name) for feature in model.package.features},
            **{name: _plain(entry.get(name)) for name in ("score", "label", "reason", "detail")},
        )
        for model, entry in zip(models, entries, strict=True)
    ]


def _plain(value: Any) -> Any:
    """A value as JSON can say it, without a loss."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime):
        return iso(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date | Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
