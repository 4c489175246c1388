"""Runs on record: a JSON file for each, by which one that was interrupted is found again."""

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import files

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a run has written down of itself."""

    run_id: str
    saved: Mapping[str, Any]


def new_id(clock: datetime) -> str:
    """An id that sorts by the clock and is never given twice."""
    return f"{clock:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


def write(spark: SparkSession, folder: str, record: Record) -> None:
    """The record on disk, in place of an older one of the same run."""
    files.write_text(spark, f"{folder}/{record.run_id}.json", json.dumps(record.saved, indent=1))


def newest_unfinished(spark: SparkSession, folder: str, *, of: str, like: Mapping[str, Any]) -> Record | None:
    """The newest record that is not `finished`, whose plan has the id `of`, and that says nothing else than `like`.

    What earlier versions did not write down is taken for equal.

    Raises: RunError: there is none, and one that cannot be read may have been it.
    """
    wanted, unread = json.loads(json.dumps(like)), []
    for name in reversed([n for n in files.list_names(spark, folder) if n.endswith(".json")]):
        saved = saved_in(spark, f"{folder}/{name}")
        if saved is None:
            unread.append(name)
        elif _is_it(saved, of=of, wanted=wanted):
            return Record(run_id=name.removesuffix(".json"), saved=saved)
    if unread:
        raise errors.unreadable_record(f"{folder}/{unread[0]}")
    return None


def _is_it(saved: Mapping[str, Any], *, of: str, wanted: Mapping[str, Any]) -> bool:
    own = not saved["finished"] and saved["plan"]["commit_id"] == of
    return own and all(saved.get(key, value) == value for key, value in wanted.items())


def saved_in(spark: SparkSession, path: str) -> Mapping[str, Any] | None:
    """What a run has written down there; None where nothing is, or what cannot be read, as after a power cut."""
    try:
        text = files.read_text(spark, path)
        saved: Mapping[str, Any] | None = None if text is None else json.loads(text)
    except ValueError:
        log.warning("%s: this record of a run is damaged, and left out", path)
        return None
    return saved
