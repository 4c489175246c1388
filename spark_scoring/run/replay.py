"""Replay: rejected rows of a stream scored again from the bytes that were kept, in one commit of the output table."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import delta, delta_write
from spark_scoring.io.json import parsed
from spark_scoring.io.sources import schema_of
from spark_scoring.models.udf import ScoredModel
from spark_scoring.run import check, inputs, output
from spark_scoring.run.faults import reached
from spark_scoring.run.insist import insisting
from spark_scoring.run.prepared import AtVersions
from spark_scoring.run.reach import reach_of
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Counts, Plan, Replay

CODES = (
    "PARSE", "SCHEMA", "LOOKUP_AMBIGUOUS:<table>", "LOOKUP_MISS:<table>", "RULE:<name>",
    "FEATURE", "MODEL", "MODEL_CRASH", "NOT_FINITE",
)  # fmt: skip
Within = tuple[datetime | None, datetime | None]
SAME_ROW = " and ".join(f"t.source.{name} = s.source.{name}" for name in ("topic", "topic_id", "partition", "offset"))


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What became of the rows: `scored` replaced their rejection, the rest stays, counted by the reason of now.

    `commit_id` is None where no row passes now: then nothing was written.
    """

    commit_id: str | None
    rows: int
    scored: int
    still_rejected: tuple[tuple[str, int], ...]


def replay(spark: SparkSession, job: Job, *, reason: str, within: Within, clock: datetime) -> Replayed:
    """Score the rows that were rejected with this reason again, with the models and tables of now.

    `within`: only rows rejected in [from, to), UTC. Ended half-way, nothing was written; run again, it finds what is
    left.

    Raises: ConfigError: the job has no stream, or rows are rejected with no such reason. RunError: there is no output,
    or it, a table or a model is not fit, or other writers were faster each time.
    """
    if re.sub(":.+", ":", reason) not in [re.sub(":.+", ":", code) for code in CODES]:
        raise errors.unknown_name("reason", kind="code", given=reason, known=CODES)
    if job.stream is None or job.output.stream is None:
        raise errors.missing_part(job.path, part="rows.stream and output.stream", command="replay")
    target = job.output.stream
    if not delta.is_table(spark, target):
        raise errors.no_commits(target, job=job.name)
    models = inputs.load_models(spark, job)
    check.analyse(spark, job, models, target=target)
    if delta.demands(spark, target).append_only:
        raise errors.closed_output(target, why="it has delta.appendOnly, and a replay replaces rows")
    tables = inputs.pin_tables(spark, job, inputs.one_wide(models))
    plan = Plan(
        commit_id=f"{job.name}/replay/{clock:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
        clock=clock,
        input=Replay(reason=reason, moved={}),
        tables=tables.versions,
        table_ids=tables.ids,
        models=inputs.model_pins(models),
        settings=inputs.settings_of(job),
    )
    return insisting(
        plan.commit_id,
        lambda: _attempt(spark, job, plan, models=models, tables=tables, reason=reason, within=within),
    )


def _attempt(
    spark: SparkSession, job: Job, plan: Plan, *, models: Sequence[ScoredModel], tables: inputs.Tables, reason: str,
    within: Within,
) -> Replayed:  # fmt: skip
    then = _rejected(spark, job, reason=reason, within=within).persist()
    rows = _rows(then, job, tables).persist()
    reach = reach_of(rows, tables.wide)
    frame = output.scored(rows, AtVersions.once(spark, tables), job=job, models=models, plan=plan, reach=reach)
    frame = frame.persist()
    try:
        found = _counted(then, frame)
        if not found.scored:
            return found
        moved = _moved(then, frame)
        made = _with(plan, reason=reason, moved=moved)
        reached("before_replay")
        _replace(str(job.output.stream), frame.where("outcome = 'scored'"), rows=found.scored, metadata=made.dump())
        reached("after_replay")
        return replace(found, commit_id=plan.commit_id)
    finally:
        for kept in (then, rows, frame):
            kept.unpersist()


def _rejected(spark: SparkSession, job: Job, *, reason: str, within: Within) -> DataFrame:
    start, end = within
    frame = spark.read.format("delta").load(str(job.output.stream))
    own = F.col("commit_id").startswith(f"{job.name}/") & F.col("source").isNotNull()
    frame = frame.where((F.col("outcome") == "rejected") & (F.col("reason") == reason) & own)
    frame = frame if start is None else frame.where(F.col("scored_at") >= F.lit(start))
    return frame if end is None else frame.where(F.col("scored_at") < F.lit(end))


def _rows(then: DataFrame, job: Job, tables: inputs.Tables) -> DataFrame:
    assert job.stream is not None
    row = parsed(then.sparkSession, F.col("raw"), schema_of(tables.wide.rows.columns), job.stream)
    frame = then.select(row.alias("__row"), F.col("source").alias("__source"), F.col("raw").alias("__raw"))
    return frame.select("__row.*", "__source", "__raw")


def _counted(then: DataFrame, frame: DataFrame) -> Replayed:
    by = {row["reason"]: row["count"] for row in frame.groupBy("reason").count().collect()}
    scored = by.pop(None, 0)
    return Replayed(commit_id=None, rows=then.count(), scored=scored, still_rejected=tuple(sorted(by.items())))


def _moved(then: DataFrame, frame: DataFrame) -> dict[str, int]:
    """Of which commit how many rows pass now: what `verify` counts that commit by."""
    now = frame.where("outcome = 'scored'").select(F.col("source").alias("at"))
    both = then.join(now, F.col("source").eqNullSafe(F.col("at")), "left_semi")
    return {row["commit_id"]: row["count"] for row in both.groupBy("commit_id").count().collect()}


def _with(plan: Plan, *, reason: str, moved: Mapping[str, int]) -> Plan:
    count = sum(moved.values())
    counts = Counts(rows=count, scored=count, rejected=0)
    return replace(plan, input=Replay(reason=reason, moved=moved), counts=counts)


def _replace(path: str, frame: DataFrame, *, rows: int, metadata: str) -> None:
    condition = f"{SAME_ROW} and t.outcome = 'rejected'"
    if delta.demands(frame.sparkSession, path).change_feed:
        # MERGE reads all of the table, so each commit beside it is a conflict; but it tells the change of each row
        delta_write.merge_update(frame, path, condition=condition, rows=rows, metadata=metadata)
    else:
        delta_write.replace_rows(frame, path, condition=condition, rows=rows, metadata=metadata)
