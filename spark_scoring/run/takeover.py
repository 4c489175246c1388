"""Takeovers: the commits without rows by which a generation of a stream takes the place of the one before.

A takeover's transaction raises the old generation's id to the greatest version there is. Delta then takes no further
commit of the old one, whenever it wakes up, and of two that take over from the same one, the second.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring.io import delta, delta_write
from spark_scoring.io.delta_write import Transaction
from spark_scoring.spec.plan import FORMAT

LAST = 2**63 - 1
WRITTEN = {"job", "generation", "offsets", "topic_ids", "by", "at", "accepted", "reason"}


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What somebody accepted: `loss` of the offsets [start, until) that the broker no longer has, or a `new_topic`.

    `table`: the one that they were fed to, where it is that table which is gone.
    """

    what: str
    topic: str
    partition: int | None = None
    start: int | None = None
    until: int | None = None
    topic_id: str | None = None
    table: str | None = None

    def pack(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Takeover:
    """A generation begins at these offsets; who let it, when, and what they accepted, for which reason."""

    job: str
    generation: str
    ends: Mapping[str, Mapping[int, int]]
    topic_ids: Mapping[str, str]
    by: str
    at: str
    accepted: tuple[Accepted, ...] = ()
    reason: str | None = None

    def pack(self) -> dict[str, Any]:
        """What the log says of it."""
        offsets = {topic: {str(p): end for p, end in sorted(spans.items())} for topic, spans in self.ends.items()}
        return {
            "job": self.job,
            "generation": self.generation,
            "offsets": offsets,
            "topic_ids": dict(self.topic_ids),
            "by": self.by,
            "at": self.at,
            "accepted": [one.pack() for one in self.accepted],
            "reason": self.reason,
        }

    def dump(self) -> str:
        """One line of JSON."""
        return json.dumps({"format": FORMAT, "takeover": self.pack()}, sort_keys=True)

    @classmethod
    def parse(cls, text: str | None) -> "Takeover | None":
        """The takeover in a commit's `userMetadata`, if it is one."""
        try:
            given = json.loads(text or "")
        except ValueError:
            return None
        found = given.get("takeover") if isinstance(given, dict) and given.get("format") == FORMAT else None
        # any writer may call a key "takeover"
        if not isinstance(found, dict) or not found.keys() >= WRITTEN:
            return None
        plain = {name: found[name] for name in WRITTEN}
        offsets = plain.pop("offsets")
        ends = {topic: {int(p): end for p, end in spans.items()} for topic, spans in offsets.items()}
        accepted = tuple(Accepted(**one) for one in plain.pop("accepted"))
        return cls(ends=ends, accepted=accepted, **plain)


def said(one: Accepted) -> str:
    """What has to be accepted, in words."""
    if one.what == "new_topic":
        return f"topic '{one.topic}' was deleted and created again, and what was not read of the old one is gone"
    if one.table is not None:
        where = f"records {one.start} to {one.until} of {one.topic}[{one.partition}]"
        return f"{where} are not in table {one.table}, which is not the one that they were fed to"
    return f"records {one.start} to {one.until} of {one.topic}[{one.partition}] are gone or were not read"


def app_id(job: str, generation: str) -> str:
    """The transaction id of a generation's commits."""
    return f"{job}:{generation}"


def feed_app_id(job: str, generation: str, table: str) -> str:
    """The transaction id of a generation's appends to a fed table."""
    return f"{job}:{generation}:feed:{table}"


def live(spark: SparkSession, path: str, *, job: str) -> tuple[str, ...]:
    """The generations that have committed and may go on; more than one only where a takeover was interrupted."""
    return tuple(name for name, version in _noted(spark, path, job).items() if version < LAST)


def every(spark: SparkSession, path: str, *, job: str) -> tuple[str, ...]:
    """All generations that ever committed, or were replaced before they did."""
    return tuple(name for name in _noted(spark, path, job) if name)


def fence(spark: SparkSession, path: str, *, app: str, metadata: str) -> bool:
    """Let no commit with this transaction id into the table any more; False if that is so already.

    Raises: a conflict of Delta's (`delta_write.lost_race`) if such a commit was made meanwhile.
    """
    return delta_write.note(spark, path, txn=Transaction(app_id=app, version=LAST), metadata=metadata) is not None


def _noted(spark: SparkSession, path: str, job: str) -> dict[str, int]:
    found = delta.transactions(spark, path, prefix=f"{job}:")
    return {app.split(":")[1]: version for app, version in found.items() if app.count(":") == 1}
