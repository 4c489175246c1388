"""Status: where a job stands, from the logs of its output tables and the broker's end offsets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyspark.sql.functions as F
from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.errors import BrokerAwayError
from spark_scoring.io import broker
from spark_scoring.run import ledger
from spark_scoring.run.ledger import Commit, Standing
from spark_scoring.spec.job import Job

# how many of the newest commits the rate is taken from, the first of them giving the time alone
RECENT = 11


@dataclass(frozen=True, kw_only=True)
class Side:
    """One output table: its commits and rows, the newest commit (UTC), the models in it, and the reasons.

    `rows_per_s`: the rate of the newest commits; `None` where there are fewer than two. `note`: what to do where the
    log no longer says what was committed; of such commits only the rows are counted.
    """

    table: str
    commits: int
    scored: int
    rejected: int
    newest: str | None
    newest_at: datetime | None
    models: tuple[str, ...]
    reasons: tuple[tuple[str, int], ...]
    rows_per_s: float | None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class Status:
    """Both sides of a job. `waiting`: records in Kafka that no commit holds.

    `None`: the broker is away, or the log no longer says what was committed.
    """

    batch: Side | None
    stream: Side | None
    waiting: int | None
    refused: tuple[str, ...]


def status(spark: SparkSession, job: Job) -> Status:
    """Where the job stands now."""
    streamed = _commits(spark, job, job.output.stream)
    known = Standing() if job.output.stream is None else ledger.standing(spark, job.output.stream, job=job.name)
    return Status(
        batch=_side(spark, job, job.output.batch, _commits(spark, job, job.output.batch)),
        stream=_side(spark, job, job.output.stream, streamed, expired=known.expired),
        waiting=_waiting(spark, job, known),
        refused=streamed[-1].plan.refused if streamed else (),
    )


def _commits(spark: SparkSession, job: Job, table: str | None) -> Sequence[Commit]:
    return () if table is None else ledger.commits(spark, table, job=job.name)


def _side(
    spark: SparkSession, job: Job, table: str | None, commits: Sequence[Commit], *, expired: bool = False
) -> Side | None:
    if table is None or not (commits or expired or ledger.has_rows(spark, table, job=job.name)):
        return None
    rows = spark.read.format("delta").load(table)
    counted = rows.groupBy("outcome", "reason").count().orderBy(F.desc("count")).collect()
    newest = commits[-1] if commits else None
    return Side(
        table=table,
        commits=len(commits),
        scored=sum(row["count"] for row in counted if row["outcome"] == "scored"),
        rejected=sum(row["count"] for row in counted if row["outcome"] == "rejected"),
        newest=None if newest is None else newest.plan.commit_id,
        newest_at=None if newest is None else newest.entry.committed_at,
        models=tuple(f"{pin.role}: {pin.model} {pin.version}" for pin in (newest.plan.models if newest else ())),
        reasons=tuple((row["reason"], row["count"]) for row in counted if row["reason"] is not None),
        rows_per_s=_rate(commits[-RECENT:]),
        note=_note(job, table, commits, expired=expired),
    )


def _note(job: Job, table: str, commits: Sequence[Commit], *, expired: bool) -> str | None:
    if expired:
        return str(errors.expired_ledger(job.path, table=table))
    return None if commits else str(errors.plans_expired(table, job=job.name))


def _rate(commits: Sequence[Commit]) -> float | None:
    if not commits:
        return None
    # a commit's rows were scored between the commit before it and itself
    took_s = (commits[-1].entry.committed_at - commits[0].entry.committed_at).total_seconds()
    rows = sum(commit.entry.rows_written for commit in commits[1:])
    return rows / took_s if took_s > 0 else None


def _waiting(spark: SparkSession, job: Job, known: Standing) -> int | None:
    if job.stream is None or job.kafka is None or job.output.stream is None or known.expired:
        return None
    try:
        latest = broker.topic_states(spark, job.kafka, [job.stream.topic])[job.stream.topic].latest
    except BrokerAwayError:
        return None
    done = known.ends.get(job.stream.topic, {})
    return sum(max(0, end - done.get(partition, 0)) for partition, end in latest.items())
