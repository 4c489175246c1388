"""Generations: which checkpoint may go on, and how a stream begins anew after its checkpoint was lost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import checkpoint, files
from spark_scoring.run.ledger import Commit, ends, generation_of
from spark_scoring.spec.job import Job


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a stream begins reading: an alias of Kafka's (`earliest`, `latest`) or offsets by topic and partition."""

    offsets: str | Mapping[str, Mapping[str, int]]


def checkpoint_of(job: Job) -> str:
    """The checkpoint's folder."""
    return f"{job.state}/checkpoint"


def start_of(spark: SparkSession, job: Job, committed: tuple[Commit, ...]) -> Start:
    """Where the next query begins, once its checkpoint is known to fit the ledger.

    Raises: StateError: the checkpoint is lost, or another one stands in its place.
    """
    assert job.kafka is not None
    query = checkpoint.query_id(spark, checkpoint_of(job))
    if not committed:
        return Start(offsets=job.kafka.start)
    recovery = _recovery(spark, job)
    newest = committed[-1].plan
    if query == generation_of(newest):
        return Start(offsets=job.kafka.start)
    renewed = query is None or query != recovery.get("known")
    if recovery.get("after") == newest.commit_id and renewed:
        return Start(offsets=recovery["offsets"])
    raise errors.lost_checkpoint(job.path, checkpoint=checkpoint_of(job), found=query)


def recover(spark: SparkSession, job: Job, committed: tuple[Commit, ...], *, now: str) -> Mapping[str, Any]:
    """Let the next `stream` begin a new generation at the ledger's end offsets; the checkpoint is kept beside."""
    place = checkpoint_of(job)
    query = checkpoint.query_id(spark, place) if files.exists(spark, f"{place}/metadata") else None
    plan = committed[-1].plan
    offsets = {
        topic: {str(p): end for p, end in spans.items()} for topic, spans in ends(c.plan for c in committed).items()
    }
    recovery = {"after": plan.commit_id, "known": query, "offsets": offsets, "at": now}
    files.write_text(spark, f"{job.state}/recovery.json", json.dumps(recovery, indent=1))
    if files.exists(spark, place):
        files.move(spark, place, f"{place}-before-{now.replace(':', '')}")
    return recovery


def _recovery(spark: SparkSession, job: Job) -> dict[str, Any]:
    given: dict[str, Any] = json.loads(files.read_text(spark, f"{job.state}/recovery.json") or "{}")
    return given
