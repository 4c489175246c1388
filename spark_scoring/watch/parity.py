"""Parity: what the stream wrote, scored again by the batch runner's functions and compared.

*exact*: with the table and model versions of each commit's own plan; every bit must be equal.
*late*: on today's tables; how many rows differ, per feature, because a table knew more later.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.errors import RunError
from spark_scoring.io.json import parsed
from spark_scoring.io.sources import schema_of
from spark_scoring.run import inputs, ledger, output
from spark_scoring.run.ledger import Commit
from spark_scoring.run.prepared import AtVersions
from spark_scoring.run.reach import reach_of
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Plan
from spark_scoring.spec.wide import WideTable

COMPARED = (
    "event_time", "event_date", "outcome", "reason", "reason_detail", "score", "label", "model", "model_version",
    "role", "scores", "features", "input", "raw",
)  # fmt: skip
EXACT_JSON = {"ignoreNullFields": "false", "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
ORIGIN = ("topic", "partition", "offset")


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
    """Rows scored again on today's tables: how many differ, in the score and per feature."""

    rows: int
    score: int
    features: tuple[tuple[str, int], ...]
    any_feature: int

    @property
    def share(self) -> float:
        """The share of rows for which any feature differs."""
        return self.any_feature / self.rows if self.rows else 0.0


def exact(spark: SparkSession, job: Job, commits: Sequence[Commit]) -> Exact:
    """Score the commits again, each at its own plan's versions, and compare every bit.

    Raises: RunError: the output does not keep `input`.
    """
    if "input" not in spark.read.format("delta").load(str(job.output.stream)).columns:
        raise errors.nothing_kept(str(job.output.stream))
    rows, different, checked = 0, 0, 0
    by_column: dict[str, int] = {}
    skipped: list[tuple[str, str]] = []
    for plan, ids in _same_inputs(commits):
        try:
            row = _compare(spark, job, plan, ids).first()
        except RunError as gone:
            skipped += [(commit_id, str(gone)) for commit_id in ids]
            continue
        assert row is not None
        compared = row.asDict()
        checked += len(ids)
        rows += compared["rows"]
        different += compared["different"]
        for column in (name for name in COMPARED if compared.get(name)):
            by_column[column] = by_column.get(column, 0) + compared[column]
    return Exact(
        commits=checked,
        rows=rows,
        different=different,
        columns=tuple(by_column.items()),
        not_checkable=tuple(skipped),
    )


def late(spark: SparkSession, job: Job, commits: Sequence[Commit]) -> Late:
    """Score the commits' good rows again on today's tables, with the models of the newest of them."""
    newest = commits[-1].plan
    models = inputs.load_pinned(spark, job, newest.models)
    tables = inputs.pin_tables(spark, job, inputs.one_wide(models))
    then = _written(spark, job, [c.plan.commit_id for c in commits]).where("outcome = 'scored'")
    again = rows_again(then, job, tables.wide)
    reach = reach_of(again, tables.wide)
    now = output.scored(again, AtVersions.once(spark, tables), job=job, models=models, plan=newest, reach=reach)
    features = [feature.name for feature in models[0].package.features]
    differs = {name: ~F.col(f"then.features.`{name}`").eqNullSafe(F.col(f"now.features.`{name}`")) for name in features}
    any_differs = F.lit(False)
    for condition in differs.values():
        any_differs = any_differs | condition
    counts = (
        _joined(then, now)
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count_if(~F.col("then.score").eqNullSafe(F.col("now.score"))).alias("score"),
            F.count_if(any_differs).alias("any"),
            F.struct(*[F.count_if(condition).alias(name) for name, condition in differs.items()]).alias("features"),
        )
        .first()
    )
    assert counts is not None
    return Late(
        rows=counts["rows"],
        score=counts["score"],
        features=tuple(counts["features"].asDict().items()),
        any_feature=counts["any"],
    )


def _same_inputs(commits: Iterable[Commit]) -> Iterable[tuple[Plan, list[str]]]:
    def inputs_of(commit: Commit) -> tuple[list[tuple[str, int | None]], list[tuple[str, str]]]:
        plan = commit.plan
        return sorted(plan.tables.items()), [(pin.role, pin.digest) for pin in plan.models]

    for _, group in groupby(commits, key=inputs_of):
        same = list(group)
        yield same[0].plan, [commit.plan.commit_id for commit in same]


def _compare(spark: SparkSession, job: Job, plan: Plan, ids: list[str]) -> DataFrame:
    models = inputs.load_pinned(spark, job, plan.models)
    tables = inputs.at_versions(inputs.pin_tables(spark, job, inputs.one_wide(models)), plan.tables)
    then = _written(spark, job, ids)
    again = rows_again(then, job, tables.wide)
    reach = reach_of(again, tables.wide)
    now = output.scored(again, AtVersions.once(spark, tables), job=job, models=models, plan=plan, reach=reach)
    names = [name for name in COMPARED if name in then.columns and name in now.columns]
    differs = {name: ~_bits(f"then.{name}").eqNullSafe(_bits(f"now.{name}")) for name in names}
    missing = F.col("then.source").isNull() | F.col("now.source").isNull()
    any_differs = missing
    for condition in differs.values():
        any_differs = any_differs | condition
    counts = [F.count_if(condition).alias(name) for name, condition in differs.items()]
    total = (F.count(F.lit(1)).alias("rows"), F.count_if(any_differs).alias("different"))
    return _joined(then, now).agg(*total, *counts)


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
    from_raw = parsed(F.when(F.col("outcome") == "rejected", F.col("raw")), schema, job.stream)
    frame = then.withColumn("__again", from_raw)
    row = F.when(F.col("outcome") == "rejected", F.col("__again")).otherwise(from_input)
    frame = frame.select(row.alias("__row"), F.col("source").alias("__source"), F.col("raw").alias("__raw"))
    return frame.select("__row.*", "__source", "__raw")


def _joined(then: DataFrame, now: DataFrame) -> DataFrame:
    left = then.select(*then.columns, F.struct(*[F.col(f"source.{n}") for n in ORIGIN]).alias("__at")).alias("then")
    right = now.select(*now.columns, F.struct(*[F.col(f"source.{n}") for n in ORIGIN]).alias("__at")).alias("now")
    return left.join(right, F.col("then.__at") == F.col("now.__at"), "full")


def _bits(name: str) -> Column:
    # text tells -0.0 from 0.0, and every double from its neighbours
    return F.to_json(F.struct(F.col(name).alias("value")), EXACT_JSON)


def commits_of(spark: SparkSession, job: Job, *, last: int | None) -> tuple[Commit, ...]:
    """The stream's commits that hold rows, oldest first; the newest `last` of them.

    Raises: ConfigError: the job has no stream. RunError: there are no commits.
    """
    if job.stream is None or job.output.stream is None:
        raise errors.missing_part(job.path, part="rows.stream and output.stream", command="parity")
    found = [
        c for c in ledger.scored_commits(spark, job.output.stream, job=job.name) if c.plan.counts and c.plan.counts.rows
    ]
    if not found:
        raise errors.no_commits(job.output.stream, job=job.name)
    return tuple(found if last is None else found[-last:])
