"""The state folder and the output of a stream: whose they are, and which lane's. Known before Spark touches either."""

import json
from collections.abc import Iterable
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import checkpoint, files
from spark_scoring.run.faults import protected
from spark_scoring.run.lane import runs
from spark_scoring.run.ledger import Standing
from spark_scoring.spec.job import MICRO_BATCH, REALTIME, Job
from spark_scoring.spec.plan import Offsets
from spark_scoring.spec.sources import public_spelling


def lane_of(spark: SparkSession, job: Job, known: Standing) -> str | None:
    """The lane that the output's newest commit and the state belong to; None where nothing says it."""
    if known.newest is not None and isinstance(known.newest.input, Offsets):
        return MICRO_BATCH if known.newest.input.landed is None else REALTIME
    return REALTIME if files.exists(spark, runs.lane_of(job)) else None


def check_lane(spark: SparkSession, job: Job, known: Standing) -> None:
    """Nothing, if output and state are not those of another lane.

    Raises: StateError.
    """
    there = lane_of(spark, job, known)
    if there is not None and there != job.lane:
        table = str(job.output.stream)
        raise errors.other_lane(job.path, lane=job.lane, other=there, table=table, state=job.state)


def check(spark: SparkSession, job: Job, known: Standing, *, topics: Iterable[str]) -> None:
    """Nothing, if the state is this job's, or nobody's yet; `topics`: what it reads.

    Raises: StateError: it is another job's, or that of another output.
    """
    if not protected("owner"):
        return
    there = _read(spark, job)
    # an output that has commits of this job may have been moved; that their checkpoint is the one here is seen then
    moved = there.get("output") != _output(job) and not known.begun and not known.expired
    if there and (there.get("job") != job.name or moved):
        whose = f"job {there.get('job')} with output {there.get('output')}"
        raise errors.state_of_another(job.path, state=job.state, whose=whose)
    read = {} if there or known.begun else checkpoint.first(spark, f"{job.state}/checkpoint", job=job.path)
    if read and not read.keys() & set(topics):
        whose = f"a job that reads topic {', '.join(sorted(read))}"
        raise errors.state_of_another(job.path, state=job.state, whose=whose)


def own(spark: SparkSession, job: Job, known: Standing, *, topics: Iterable[str]) -> None:
    """Write down whose the state is. To be called with the lease held.

    Raises: as `check`.
    """
    check(spark, job, known, topics=topics)
    own = {"job": job.name, "output": _output(job)}
    if _read(spark, job) != own:
        files.write_text(spark, _path(job), json.dumps(own))


def _output(job: Job) -> str:
    return public_spelling(str(job.output.stream))


def _path(job: Job) -> str:
    return f"{job.state}/owner.json"


def _read(spark: SparkSession, job: Job) -> dict[str, Any]:
    try:
        found = json.loads(files.read_settled(spark, _path(job)) or "{}")
    except ValueError:
        # half-written by a store that cannot replace a file in one step
        return {}
    return found if isinstance(found, dict) else {}
