"""The output rows: one for each row in, scored or rejected, in the columns that batch and stream share."""

from collections.abc import Sequence

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame

from spark_scoring.models.udf import ScoredModel, score_rows
from spark_scoring.run.prepared import AtVersions
from spark_scoring.run.reach import Reach
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Plan
from spark_scoring.spec.wide import WideTable
from spark_scoring.wide import transform

PARTITIONS = ("event_date",)
SOURCE = "struct<topic: string, topic_id: string, partition: int, offset: bigint, timestamp: timestamp>"


def from_table(rows: DataFrame) -> DataFrame:
    """Rows that came from no topic: their `__source` and `__raw` are null."""
    nothing = {"__source": F.lit(None).cast(SOURCE), "__raw": F.lit(None).cast("binary")}
    return rows.withColumns(nothing)


def scored(
    rows: DataFrame,
    tables: AtVersions,
    *,
    job: Job,
    models: Sequence[ScoredModel],
    plan: Plan,
    reach: Reach | None = None,
) -> DataFrame:
    """Rows -> output rows: keys, outcome, score, what was kept, and the commit they belong to.

    `rows` carries its declared columns, `__source` and `__raw` (both null for rows that come from a table). `reach`:
    what they can reach of the tables, if known.
    """
    wide = models[0].package.wide
    needed = frozenset(feature_names(models))
    within, keys = (reach.times, reach.keys) if reach else (None, None)
    widened = transform(wide, rows, tables.frames, needed=needed, within=within, keys=keys, keeper=tables)
    frame = score_rows(widened, models, where=F.col("rejected").isNull())
    frame = frame.withColumn("__served", _served(job, models, wide))
    frame = frame.withColumn("__rejected", F.coalesce("rejected", _failed()))
    return frame.select(*_identity(wide), *_outcome(), *_kept(job, models, wide), *_origin(plan))


def _served(job: Job, models: Sequence[ScoredModel], wide: WideTable) -> Column:
    scores = F.col("scores")
    share = next((ref.share or 0.0 for ref in job.models if ref.role == "challenger"), 0.0)
    order = [model.role for model in models]
    if "challenger" not in order:
        return F.get(scores, F.lit(0))
    keys = [F.col(f"`{name}`").cast("string") for name in wide.rows.key]
    bucket = F.pmod(F.xxhash64(F.lit(job.name), *keys), F.lit(10_000))
    drawn = bucket < F.lit(share * 10_000)
    return F.get(scores, F.when(drawn, order.index("challenger")).otherwise(order.index("champion")))


def _failed() -> Column:
    reason = F.col("__served.reason")
    return F.when(reason.isNotNull(), F.struct(reason.alias("code"), F.col("__served.detail").alias("detail")))


def _identity(wide: WideTable) -> list[Column]:
    time = F.col(f"`{wide.rows.time}`")
    start, end = (F.lit(bound) for bound in wide.rows.time_range)
    event_time = F.when((time >= start) & (time < end), time)
    keys = [F.col(f"`{name}`").alias(name) for name in wide.rows.key]
    return [*keys, event_time.alias("event_time"), F.to_date(event_time).alias("event_date")]


def _outcome() -> list[Column]:
    good = F.col("__rejected").isNull()
    fields = ("score", "label", "model", "model_version", "role")
    return [
        F.when(good, "scored").otherwise("rejected").alias("outcome"),
        F.col("__rejected.code").alias("reason"),
        F.col("__rejected.detail").alias("reason_detail"),
        *[F.when(good, F.col(f"__served.{field}")).alias(field) for field in fields],
        F.when(F.col("rejected").isNull(), F.col("scores"))
        .otherwise(F.filter("scores", lambda _: F.lit(False)))
        .alias("scores"),
    ]


def _kept(job: Job, models: Sequence[ScoredModel], wide: WideTable) -> list[Column]:
    kept = []
    if "input" in job.output.keep:
        kept.append(F.struct(*[F.col(f"`{column.name}`") for column in wide.rows.columns]).alias("input"))
    if "features" in job.output.keep:
        kept.append(F.struct(*[F.col(f"`{name}`") for name in feature_names(models)]).alias("features"))
    return kept


def feature_names(models: Sequence[ScoredModel]) -> list[str]:
    """The union of the models' features, each once, in the models' order."""
    return list(dict.fromkeys(feature.name for model in models for feature in model.package.features))


def _origin(plan: Plan) -> list[Column]:
    return [
        F.col("__source").alias("source"),
        F.when(F.col("__rejected").isNotNull(), F.col("__raw")).alias("raw"),
        F.lit(plan.commit_id).alias("commit_id"),
        F.lit(plan.clock).cast("timestamp").alias("scored_at"),
    ]
