"""One row of a job, found again with what scores it: as `score` would now, or as its stream's commit did."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import delta, sources
from spark_scoring.models.udf import ScoredModel
from spark_scoring.run import inputs, ledger, output
from spark_scoring.run.inputs import Tables
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Plan, iso
from spark_scoring.spec.wide import Rows
from spark_scoring.watch.parity import rows_again
from spark_scoring.watch.row_key import has_key, parse_key
from spark_scoring.wide.frames import at, column, micros
from spark_scoring.wide.schema import checked_rows


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The row that is asked for: its key as a text, see `parse_key`, and its event time."""

    key: str
    time: datetime


@dataclass(frozen=True, kw_only=True)
class Found:
    """One row, as a frame for `output.scored`, and the models and tables that score it.

    `equal`: how many rows are equal to it, itself included. `origin`: where it was read and what scores it.
    """

    rows: DataFrame
    equal: int
    origin: str
    key: tuple[tuple[str, str], ...]
    models: tuple[ScoredModel, ...]
    tables: Tables


@contextmanager
def found_row(spark: SparkSession, job: Job, asked: Asked, *, stream: bool) -> Iterator[Found]:
    """The row among the batch rows; with `stream`, or where there are none, among those the stream's output kept.

    Raises: ConfigError: the job has no such rows, or the key does not fit. RunError: there is no such row, or there
    are several that differ.
    """
    row = _in_stream(spark, job, asked) if stream or job.batch is None else _in_batch(spark, job, asked)
    try:
        yield row
    finally:
        row.rows.unpersist()


def _in_batch(spark: SparkSession, job: Job, asked: Asked) -> Found:
    assert job.batch is not None
    pinned = sources.pin(spark, job.batch, name=inputs.ROWS)
    models = inputs.load_models(spark, job)
    wide = inputs.one_wide(models)
    key = parse_key(asked.key, wide.rows)
    rows = output.from_table(sources.read_rows(spark, pinned, columns=wide.rows.columns), wide)
    frame = checked_rows(rows, wide=wide)
    same_key = frame.where(has_key(spark, key, wide.rows))
    at = f"rows.batch{'' if pinned.version is None else f', version {pinned.version}'}"
    declared = [column(found.name) for found in wide.rows.columns]
    row, equal = _one(same_key, asked, key, time=wide.rows.time, content=f"struct({', '.join(declared)})", where=at)
    return Found(
        rows=row.persist(),
        equal=equal,
        origin=f"{at}; models and tables of now",
        key=tuple(key.items()),
        models=models,
        tables=inputs.pin_tables(spark, job, wide),
    )


def _in_stream(spark: SparkSession, job: Job, asked: Asked) -> Found:
    target = _output_of(spark, job)
    plans = {c.plan.commit_id: c.plan for c in ledger.scored_commits(spark, target, job=job.name)}
    if not plans:
        raise ledger.without_plans(spark, target, job=job.name)
    newest = plans[next(reversed(plans))]
    models = inputs.load_pinned(spark, job, newest.models)
    key = parse_key(asked.key, rows := inputs.one_wide(models).rows)
    row, equal = _written(spark, job, asked, key, rows=rows)
    plan, at = _plan_of(row, plans, target=target)
    models = models if plan.models == newest.models else inputs.load_pinned(spark, job, plan.models)
    tables = inputs.pin_tables(spark, job, inputs.one_wide(models))
    return Found(
        rows=rows_again(row, inputs.as_planned(job, plan), tables.wide).persist(),
        equal=equal,
        origin=f"{at}; models and tables of commit {plan.commit_id}",
        key=tuple(key.items()),
        models=models,
        tables=inputs.at_versions(tables, plan),
    )


def _output_of(spark: SparkSession, job: Job) -> str:
    if job.stream is None or job.output.stream is None:
        part = "rows.stream and output.stream"
        part, command = (f"rows.batch, or {part}", "explain") if job.batch is None else (part, "explain --stream")
        raise errors.missing_part(job.path, part=part, command=command)
    if not delta.is_table(spark, job.output.stream):
        raise errors.no_commits(job.output.stream, job=job.name)
    return job.output.stream


def _written(spark: SparkSession, job: Job, asked: Asked, key: dict[str, str], *, rows: Rows) -> tuple[DataFrame, int]:
    """The output's row, the newest of equal ones."""
    target = str(job.output.stream)
    frame = spark.read.format("delta").load(target)
    if "input" not in frame.columns:
        raise errors.nothing_kept(target)
    own = frame.where(F.col("commit_id").startswith(f"{job.name}/")).where(has_key(spark, key, rows))
    return _one(own.orderBy(F.desc("scored_at")), asked, key, time="event_time", content="input", where=target)


def _plan_of(row: DataFrame, plans: dict[str, Plan], *, target: str) -> tuple[Plan, str]:
    # a timestamp of Kafka may be one that Python cannot hold
    first = row.select("commit_id", "source.topic", "source.partition", "source.offset").first()
    assert first is not None
    if first["commit_id"] not in plans:
        raise errors.commit_expired(target, commit_id=first["commit_id"])
    return plans[first["commit_id"]], f"{first['topic']}[{first['partition']}] at offset {first['offset']}"


def _one(
    same_key: DataFrame, asked: Asked, key: dict[str, str], *, time: str, content: str, where: str
) -> tuple[DataFrame, int]:
    """The first row of this key and time, and how many have its content."""
    rows = same_key.where(f"{column(time)} = {at(micros(asked.time))}")
    said = ", ".join(f"{name}={value}" for name, value in key.items()), iso(asked.time)
    counted = rows.selectExpr("count(1) as all", f"count(distinct to_json({content})) as different").first()
    assert counted is not None
    if counted["all"] == 0:
        raise errors.no_such_row(where, key=said[0], time=said[1], elsewhere=same_key.count())
    if counted["different"] > 1:
        raise errors.rows_differ(where, key=said[0], time=said[1], rows=counted["all"])
    return rows.limit(1), counted["all"]
