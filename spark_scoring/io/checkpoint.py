"""Spark's own checkpoint files, read by these functions alone: the query's id and the offsets of a micro-batch."""

import json

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io.files import exists, list_names, read_text
from spark_scoring.spec.plan import Ranges

Bounds = dict[str, dict[int, int]]


def query_id(spark: SparkSession, checkpoint: str, *, job: str) -> str | None:
    """The id of the query that owns the checkpoint; `None` where there is none yet.

    Raises: StateError: the file that holds it is damaged.
    """
    try:
        text = read_text(spark, f"{checkpoint}/metadata")
        return None if text is None else str(json.loads(text)["id"])
    except (ValueError, KeyError, TypeError):
        raise errors.damaged_checkpoint(f"{checkpoint}/metadata", job=job) from None


def check(spark: SparkSession, checkpoint: str, *, job: str) -> None:
    """Nothing, if the files that Spark goes on from are whole: the newest ones of its offsets and of its commits.

    Raises: StateError: one is damaged, as after a power cut.
    """
    for folder, read in (("offsets", _offsets), ("commits", _commit)):
        if (path := _newest(spark, f"{checkpoint}/{folder}")) is not None:
            read(spark, path, job=job)


def batch_ranges(spark: SparkSession, checkpoint: str, batch_id: int, *, job: str) -> Ranges:
    """topic -> partition -> [from, until) of one micro-batch; a partition seen for the first time starts at 0.

    `job` is the job's file, for what an error says. Raises: StateError: a file is missing or damaged.
    """
    before = f"offsets/{batch_id - 1}" if batch_id else "sources/0/0"
    until = _offsets(spark, f"{checkpoint}/offsets/{batch_id}", job=job)
    start = _offsets(spark, f"{checkpoint}/{before}", job=job)
    return {
        topic: {partition: (start.get(topic, {}).get(partition, 0), end) for partition, end in spans.items()}
        for topic, spans in until.items()
    }


def committed(spark: SparkSession, checkpoint: str, *, job: str) -> Bounds | None:
    """topic -> partition -> the offset after the newest committed batch; None where no batch was committed.

    Raises: StateError: a file is damaged.
    """
    done = _newest(spark, f"{checkpoint}/commits")
    return None if done is None else _offsets(spark, f"{checkpoint}/offsets/{done.rsplit('/', 1)[1]}", job=job)


def first(spark: SparkSession, checkpoint: str, *, job: str) -> Bounds | None:
    """topic -> partition -> the offset at which the checkpoint's query began; None where it has not.

    Raises: StateError: the file is damaged.
    """
    path = f"{checkpoint}/sources/0/0"
    return _offsets(spark, path, job=job) if exists(spark, path) else None


def reached(spark: SparkSession, checkpoint: str, *, job: str) -> Bounds | None:
    """topic -> partition -> where its query goes on: as `committed`, or where no batch was committed as `first`.

    Raises: StateError: a file is damaged.
    """
    done = committed(spark, checkpoint, job=job)
    return first(spark, checkpoint, job=job) if done is None else done


def _newest(spark: SparkSession, folder: str) -> str | None:
    """The file of the newest micro-batch in the folder."""
    numbers = [int(name) for name in list_names(spark, folder) if name.isdigit()]
    return f"{folder}/{max(numbers)}" if numbers else None


def _commit(spark: SparkSession, path: str, *, job: str) -> None:
    # the file's version, as `v1`, then JSON that says nothing to us
    try:
        version, *rest = (read_text(spark, path) or "").splitlines()
        int(version.removeprefix("v"))
        json.loads("".join(rest) or "{}")
    except ValueError:
        raise errors.damaged_checkpoint(path, job=job) from None


def _offsets(spark: SparkSession, path: str, *, job: str) -> Bounds:
    # the last line is the only source's; the lines before it are the file's version and Spark's own metadata
    try:
        given = json.loads((read_text(spark, path) or "").splitlines()[-1])
        return {topic: {int(p): int(offset) for p, offset in spans.items()} for topic, spans in given.items()}
    except (ValueError, IndexError, AttributeError):
        raise errors.damaged_checkpoint(path, job=job) from None
