"""Parity: what the stream wrote, scored again by the batch runner's functions and compared.

*exact*: with the table and model versions of each commit's own plan; every bit must be equal.
*late*: on today's tables; how many rows differ, per feature, because a table knew more later.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby
from typing import Any

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import types as T

from spark_scoring import errors
from spark_scoring.errors import RunError
from spark_scoring.io import sources
from spark_scoring.io.json import parsed
from spark_scoring.io.sources import schema_of
from spark_scoring.models.udf import ScoredModel
from spark_scoring.run import inputs, ledger, output
from spark_scoring.run.ledger import Commit
from spark_scoring.run.prepared import AtVersions
from spark_scoring.run.reach import reach_of
from spark_scoring.spec.job import KEEP, Job
from spark_scoring.spec.plan import Plan
from spark_scoring.spec.wide import WideTable
from spark_scoring.watch.bits import differs
from spark_scoring.wide.frames import column

COMPARED = (
    "event_time", "event_date", "outcome", "reason", "reason_detail", "score", "label", "model", "model_version",
    "role", "scores", "features", "input", "raw",
)  # fmt: skip
ORIGIN = ("topic", "topic_id", "partition", "offset")


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Rows scored again at their plans' versions; `not_checkable` names commits and why."""

    commits: int
    rows: int
    different: int
    columns: tuple[tuple[str, int], ...]
    not_checkable: tuple[tuple[str, str], ...]

    @property
    def holds(self) -> bool:
        """Whether every row that could be checked is equal to the last bit."""
        return self.different == 0


@dataclass(frozen=True, kw_only=True)
class Late:
    """Rows scored again on today's tables: how many differ, in the score and per feature that was kept."""

    rows: int
    score: int
    features: tuple[tuple[str, int], ...]
    any_feature: int

    @property
    def share(self) -> float:
        """The share of rows for which any feature differs; where no features were kept, the score."""
        different = self.any_feature if self.features else self.score
        return different / self.rows if self.rows else 0.0


def exact(spark: SparkSession, job: Job, commits: Sequence[Commit]) -> Exact:
    """Score the commits again, each at its own plan's versions, and compare every bit.

    Raises: RunError: the output does not keep `input`.
    """
    _check_kept(spark, job)
    rows, different, checked = 0, 0, 0
    by_column: dict[str, int] = {}
    skipped: list[tuple[str, str]] = []
    for plan, ids in _same_inputs(commits):
        try:
            compared = _compare(spark, job, plan, ids)
        except RunError as gone:
            skipped += [(commit_id, str(gone)) for commit_id in ids]
            continue
        checked += len(ids)
        rows += compared["rows"]
        different += compared["different"]
        for name, count in compared["columns"].asDict().items():
            by_column[name] = by_column.get(name, 0) + count
    return Exact(
        commits=checked,
        rows=rows,
        different=different,
        columns=tuple((name, count) for name, count in by_column.items() if count),
        not_checkable=tuple(skipped),
    )


def late(spark: SparkSession, job: Job, commits: Sequence[Commit]) -> Late:
    """Score the commits' good rows again on today's tables, with the models of the newest of them.

    Raises: RunError: the output does not keep `input`, or one of the models is gone.
    """
    _check_kept(spark, job)
    newest = commits[-1].plan
    job = replace(job, output=replace(job.output, keep=KEEP))
    models = inputs.load_pinned(spark, job, newest.models)
    tables = inputs.pin_tables(spark, job, inputs.one_wide(models))
    then = _written(spark, job, [c.plan.commit_id for c in commits]).where("outcome = 'scored' and input is not null")
    again = rows_again(then, job, tables.wide)
    reach = reach_of(again, tables.wide)
    now = output.scored(again, AtVersions.once(spark, tables), job=job, models=models, plan=newest, reach=reach)
    other = {name: _other(name) for name in _features_kept(then, models[0])}
    any_differs = reduce(Column.__or__, other.values(), F.lit(False))
    each = F.struct(F.lit(0), *[F.count_if(condition).alias(name) for name, condition in other.items()])
    counts = (
        _joined(then, now)
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count_if(~F.col("then.score").eqNullSafe(F.col("now.score"))).alias("score"),
            F.count_if(any_differs).alias("any"),
            each.alias("features"),
        )
        .first()
    )
    assert counts is not None
    return Late(
        rows=counts["rows"],
        score=counts["score"],
        features=tuple(zip(other, counts["features"][1:], strict=True)),
        any_feature=counts["any"],
    )


def _check_kept(spark: SparkSession, job: Job) -> None:
    if "input" not in spark.read.format("delta").load(str(job.output.stream)).columns:
        raise errors.nothing_kept(str(job.output.stream))


def _features_kept(then: DataFrame, model: ScoredModel) -> list[str]:
    """The model's features that the table has."""
    kept = then.schema["features"].dataType if "features" in then.columns else T.StructType()
    assert isinstance(kept, T.StructType)
    there = {name.lower() for name in kept.fieldNames()}
    return [feature.name for feature in model.package.features if feature.name.lower() in there]


def _other(feature: str) -> Column:
    then, now = (F.col(f"{side}.features.{column(feature)}") for side in ("then", "now"))
    return F.col("then.features").isNotNull() & ~then.eqNullSafe(now)


def _same_inputs(commits: Iterable[Commit]) -> Iterable[tuple[Plan, list[str]]]:
    def inputs_of(commit: Commit) -> tuple[object, ...]:
        plan = commit.plan
        return plan.tables, plan.table_ids, plan.models, plan.settings

    for _, group in groupby(commits, key=inputs_of):
        same = list(group)
        yield same[0].plan, [commit.plan.commit_id for commit in same]


def _compare(spark: SparkSession, job: Job, plan: Plan, ids: list[str]) -> dict[str, Any]:
    job = inputs.as_planned(job, plan)
    if plan.settings is not None and "input" not in plan.settings.keep:
        raise errors.nothing_kept(str(job.output.stream))
    models = inputs.load_pinned(spark, job, plan.models)
    tables = inputs.at_versions(inputs.pin_tables(spark, job, inputs.one_wide(models)), plan)
    then = _written(spark, job, ids)
    again = rows_again(then, job, tables.wide)
    reach = reach_of(again, tables.wide)
    now = output.scored(again, AtVersions.once(spark, tables), job=job, models=models, plan=plan, reach=reach)
    other = differs((*tables.wide.rows.key, *COMPARED), then=then.schema, now=now.schema)
    missing = F.col("then.source").isNull() | F.col("now.source").isNull()
    any_differs = reduce(Column.__or__, other.values(), missing)
    counts = F.struct(*[F.count_if(condition).alias(name) for name, condition in other.items()]).alias("columns")
    total = (F.count(F.lit(1)).alias("rows"), F.count_if(any_differs).alias("different"))
    with sources.readable(spark, tables.pins.values()):
        (row,) = _joined(then, now).agg(*total, counts).collect()
    return row.asDict()


def _written(spark: SparkSession, job: Job, ids: Sequence[str]) -> DataFrame:
    frame = spark.read.format("delta").load(str(job.output.stream))
    return frame.where(F.col("commit_id").isin(list(ids)))


def rows_again(then: DataFrame, job: Job, wide: WideTable) -> DataFrame:
    """The rows as they came: good ones from `input`, rejected ones from the bytes that were kept."""
    assert job.stream is not None
    schema = schema_of(wide.rows.columns)
    nothing = F.struct(F.lit(None).cast("string").alias("__parse"), F.lit(None).cast("array<string>").alias("__bad"))
    own = [F.col(f"input.`{field.name}`").alias(field.name) for field in schema]
    from_input = F.struct(*own, *[nothing[name].alias(name) for name in ("__parse", "__bad")])
    from_raw = parsed(then.sparkSession, F.when(F.col("outcome") == "rejected", F.col("raw")), schema, job.stream)
    frame = then.withColumn("__again", from_raw)
    row = F.when(F.col("outcome") == "rejected", F.col("__again")).otherwise(from_input)
    frame = frame.select(row.alias("__row"), F.col("source").alias("__source"), F.col("raw").alias("__raw"))
    return frame.select("__row.*", "__source", "__raw")


def _joined(then: DataFrame, now: DataFrame) -> DataFrame:
    left = then.select(*then.columns, F.struct(*[F.col(f"source.{n}") for n in ORIGIN]).alias("__at")).alias("then")
    right = now.select(*now.columns, F.struct(*[F.col(f"source.{n}") for n in ORIGIN]).alias("__at")).alias("now")
    return left.join(right, F.col("then.__at") == F.col("now.__at"), "full")


def commits_of(spark: SparkSession, job: Job, *, last: int | None) -> tuple[Commit, ...]:
    """The stream's commits that hold rows, oldest first; the newest `last` of them.

    Raises: ConfigError: the job has no stream. RunError: there are no commits, or none that the log still holds.
    """
    if job.stream is None or job.output.stream is None:
        raise errors.missing_part(job.path, part="rows.stream and output.stream", command="parity")
    found = [
        c for c in ledger.scored_commits(spark, job.output.stream, job=job.name) if c.plan.counts and c.plan.counts.rows
    ]
    if not found:
        raise ledger.without_plans(spark, job.output.stream, job=job.name)
    return tuple(found if last is None else found[-last:])
