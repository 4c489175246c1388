"""Runs of the lane: from one start of its query to the next, with one version of everything. Each is on record."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from spark_scoring import errors
from spark_scoring.io import files
from spark_scoring.run import inputs, records
from spark_scoring.run.inputs import Tables
from spark_scoring.run.records import Record
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Interval, ModelPin, Plan

# as `records.new_id` makes them
_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run: its plan (without a commit), the offsets of the rows topic that it began at, the columns of its rows.

    `anew`: it began without a checkpoint, so it scores again all that was not landed by then.
    """

    run_id: str
    plan: Plan
    topic_id: str
    start: Mapping[int, int]
    schema: T.StructType
    anew: bool = False


def folder_of(job: Job) -> str:
    """Where the runs are on record."""
    return f"{lane_of(job)}/runs"


def lane_of(job: Job) -> str:
    """The lane's own part of the job's state."""
    return f"{job.state}/realtime"


def checkpoint_of(job: Job) -> str:
    """The checkpoint of the lane's query; the landing's stands where that of a micro-batch stream would."""
    return f"{lane_of(job)}/checkpoint"


def write(spark: SparkSession, job: Job, run: Run) -> None:
    """The run on record, before its query starts."""
    saved = {
        "plan": run.plan.pack(),
        "topic_id": run.topic_id,
        "start": {str(partition): offset for partition, offset in sorted(run.start.items())},
        "schema": run.schema.jsonValue(),
        "anew": run.anew,
    }
    records.write(spark, folder_of(job), Record(run_id=run.run_id, saved=saved))


def read(spark: SparkSession, job: Job, run_id: str) -> Run | None:
    """The run of this id; None where none is on record that can be read, as of what is no id."""
    if not _ID.fullmatch(run_id):
        return None
    saved = records.saved_in(spark, f"{folder_of(job)}/{run_id}.json")
    if saved is None:
        return None
    return Run(
        run_id=run_id,
        plan=Plan.unpack(saved["plan"]),
        topic_id=saved["topic_id"],
        start={int(partition): offset for partition, offset in saved["start"].items()},
        schema=T.StructType.fromJson(saved["schema"]),
        anew=saved.get("anew", False),
    )


def newest(spark: SparkSession, job: Job) -> Run | None:
    """The last run on record."""
    ids = _ids(spark, job)
    return read(spark, job, ids[-1]) if ids else None


def is_lost(spark: SparkSession, job: Job, run_id: str, *, current: str) -> bool:
    """Whether a run that is not on record may have scored what nobody else did.

    What was not landed when a run began anew has been scored again, and no run is younger than the current one.
    """
    if not _ID.fullmatch(run_id) or run_id > current:
        return False
    ids = _ids(spark, job)
    anew = (name for name in reversed(ids) if (run := read(spark, job, name)) is not None and run.anew)
    return run_id >= next(anew, ids[0] if ids else "")


def _ids(spark: SparkSession, job: Job) -> list[str]:
    names = [name.removesuffix(".json") for name in files.list_names(spark, folder_of(job)) if name.endswith(".json")]
    return [name for name in names if _ID.fullmatch(name)]


def set_aside(spark: SparkSession, job: Job) -> None:
    """Let the next run begin anew; the lane's checkpoint is kept beside."""
    place = checkpoint_of(job)
    if files.exists(spark, place):
        files.move(spark, place, f"{place}-before-{uuid.uuid4()}")


def plan_of(job: Job, run_id: str, *, clock: datetime, tables: Tables, models: tuple[ModelPin, ...]) -> Plan:
    """What a run pins."""
    return Plan(
        commit_id=f"{job.name}/{run_id}", clock=clock, input=Interval(bounds=None), tables=tables.versions,
        table_ids=tables.ids, models=models, settings=inputs.settings_of(job),
    )  # fmt: skip


def landing_start(spark: SparkSession, job: Job, latest: Mapping[int, int]) -> dict[int, int]:
    """Where the landing of a new job begins on the topic of scores: at its end as it was before the first run.

    Raises: StateError: what was written down of it is damaged.
    """
    path = f"{lane_of(job)}/begin.json"
    try:
        text = files.read_text(spark, path)
        if text is not None:
            return {int(partition): int(offset) for partition, offset in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        raise errors.damaged_begin(path) from None
    # kept: a run may score before the landing has written its first checkpoint
    files.write_text(spark, path, json.dumps({str(partition): offset for partition, offset in sorted(latest.items())}))
    return dict(latest)
