"""The plan: everything one commit depends on, as it is written into the commit's `userMetadata`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

FORMAT = 1
ROLES = ("champion", "challenger", "shadow")

Ranges = Mapping[str, Mapping[int, tuple[int, int]]]
"""topic -> partition -> (from, until), half open."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The rows of a batch commit: event times in [start, end), UTC; `bounds` is `None` for the rows without one.

    `version` is the version of the table that held the rows (`None`: not a versioned table).
    """

    bounds: tuple[datetime, datetime] | None
    version: int | None = None

    def pack(self) -> dict[str, Any]:
        bounds = None if self.bounds is None else [iso(bound) for bound in self.bounds]
        return {"interval": bounds, "version": self.version}


@dataclass(frozen=True, kw_only=True)
class Landed:
    """What a commit landed of the real-time lane: which run scored it, and where that run began to read the rows.

    `repeated`: scores of records that were in the table already; `foreign`: what on the topic is nobody's score.
    """

    run: str
    start: Mapping[int, int]
    repeated: int = 0
    foreign: int = 0

    def pack(self) -> dict[str, Any]:
        start = {str(partition): offset for partition, offset in sorted(self.start.items())}
        return {"run": self.run, "start": start, "repeated": self.repeated, "foreign": self.foreign}


@dataclass(frozen=True, kw_only=True)
class Offsets:
    """The records of a stream commit, and the identity of the topics they came from.

    Of the real-time lane these are two topics: the scores that were read, and how far the rows are in the table.
    """

    ranges: Ranges
    topic_ids: Mapping[str, str]
    landed: Landed | None = None

    def pack(self) -> dict[str, Any]:
        ranges = {
            topic: {str(partition): list(span) for partition, span in sorted(partitions.items())}
            for topic, partitions in sorted(self.ranges.items())
        }
        packed: dict[str, Any] = {"offsets": ranges, "topic_ids": dict(sorted(self.topic_ids.items()))}
        return packed if self.landed is None else {**packed, "landed": self.landed.pack()}


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Rejected rows of a stream that were scored again: their reason, and of which commits how many now pass."""

    reason: str
    moved: Mapping[str, int]

    def pack(self) -> dict[str, Any]:
        return {"replay": {"reason": self.reason, "moved": dict(sorted(self.moved.items()))}}


@dataclass(frozen=True, kw_only=True)
class ModelPin:
    """One model of a commit: registered name, version, the digest of its files, and what it was scored in.

    `share`: the challenger's, of the traffic.
    """

    role: str
    model: str
    version: str
    digest: str
    runtime: str = "arrow"
    share: float | None = None

    def pack(self) -> dict[str, Any]:
        packed = {"model": self.model, "version": self.version, "digest": self.digest, "runtime": self.runtime}
        return packed if self.share is None else {**packed, "share": self.share}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What rows depend on in the job's file: what is kept of them, and in a stream how their JSON is read."""

    keep: tuple[str, ...]
    time_unit: str | None = None
    unknown: str = "ignore"

    def pack(self) -> dict[str, Any]:
        return {"keep": list(self.keep), "time_unit": self.time_unit, "unknown": self.unknown}


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Rows in = scored + rejected."""

    rows: int
    scored: int
    rejected: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a commit read and with which models; equal plans over equal data give equal rows.

    `tables` maps a name to its pinned version (`None`: not a versioned table), `table_ids` that name, and `rows.batch`,
    to the id of the table that has the version; plans did not always say it. `feed_lag` counts, for each feed, the
    records that its topic already held and this commit had not read. `settings`: plans did not always say them, and
    training sets have none.
    """

    commit_id: str
    clock: datetime
    input: Interval | Offsets | Replay
    tables: Mapping[str, int | None]
    models: tuple[ModelPin, ...]
    table_ids: Mapping[str, str] = field(default_factory=dict)
    settings: Settings | None = None
    counts: Counts | None = None
    feed_lag: Mapping[str, int] = field(default_factory=dict)
    refused: tuple[str, ...] = ()

    def pack(self) -> dict[str, Any]:
        """The plan as plain data; the input of `unpack`."""
        counts = self.counts and {
            "in": self.counts.rows,
            "scored": self.counts.scored,
            "rejected": self.counts.rejected,
        }
        settings = {} if self.settings is None else {"settings": self.settings.pack()}
        table_ids = {"table_ids": dict(self.table_ids)} if self.table_ids else {}
        return {
            "format": FORMAT,
            "commit_id": self.commit_id,
            "clock": iso(self.clock),
            "input": self.input.pack(),
            "tables": dict(self.tables),
            **table_ids,
            "models": _pack_models(self.models),
            **settings,
            "counts": counts,
            "feed_lag": dict(self.feed_lag),
            "refused": list(self.refused),
        }

    def dump(self) -> str:
        """One line of JSON, keys sorted as texts."""
        return json.dumps(self.pack(), sort_keys=True)

    @classmethod
    def unpack(cls, given: Mapping[str, Any]) -> "Plan":
        """The plan that `pack` made."""
        counts = given["counts"]
        return cls(
            commit_id=given["commit_id"],
            clock=instant(given["clock"]),
            input=_unpack_input(given["input"]),
            tables=dict(given["tables"]),
            table_ids=dict(given.get("table_ids", {})),
            models=_unpack_models(given["models"]),
            settings=_unpack_settings(given.get("settings")),
            counts=counts and Counts(rows=counts["in"], scored=counts["scored"], rejected=counts["rejected"]),
            feed_lag=dict(given["feed_lag"]),
            refused=tuple(given["refused"]),
        )

    @classmethod
    def parse(cls, text: str | None) -> "Plan | None":
        """The plan in a commit's `userMetadata`; `None` where somebody else's text stands there."""
        try:
            given = json.loads(text or "")
        except ValueError:
            return None
        known = isinstance(given, dict) and given.get("format") == FORMAT and "models" in given
        return cls.unpack(given) if known else None


def iso(moment: datetime) -> str:
    """`2013-09-01T00:00:00Z`, microseconds only where there are some."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant(text: str) -> datetime:
    """The UTC instant of an ISO 8601 text; one without a zone is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _pack_models(models: tuple[ModelPin, ...]) -> dict[str, Any]:
    packed: dict[str, Any] = {}
    for pin in models:
        same = sum(1 for key in packed if key == pin.role or key.startswith(f"{pin.role}_"))
        key = pin.role if same == 0 else f"{pin.role}_{same + 1}"
        packed[key] = pin.pack()
    return packed


def _unpack_models(given: Mapping[str, Any]) -> tuple[ModelPin, ...]:
    # in the order of a job, that of the columns which were written: the keys of `dump` are sorted as texts
    return tuple(ModelPin(role=key.split("_")[0], **given[key]) for key in sorted(given, key=_place))


def _place(key: str) -> tuple[int, int]:
    """Where a key of `models` stands in a job: by its role, and its number in it."""
    role, _, number = key.partition("_")
    return ROLES.index(role), int(number or 1)


def _unpack_settings(given: Mapping[str, Any] | None) -> Settings | None:
    return None if given is None else Settings(**{**given, "keep": tuple(given["keep"])})


def _unpack_landed(given: Mapping[str, Any] | None) -> Landed | None:
    if given is None:
        return None
    start = {int(partition): offset for partition, offset in given["start"].items()}
    return Landed(run=given["run"], start=start, repeated=given["repeated"], foreign=given["foreign"])


def _unpack_input(given: Mapping[str, Any]) -> Interval | Offsets | Replay:
    if "offsets" in given:
        ranges = {
            topic: {int(partition): (span[0], span[1]) for partition, span in partitions.items()}
            for topic, partitions in given["offsets"].items()
        }
        return Offsets(ranges=ranges, topic_ids=dict(given["topic_ids"]), landed=_unpack_landed(given.get("landed")))
    if "replay" in given:
        return Replay(reason=given["replay"]["reason"], moved=dict(given["replay"]["moved"]))
    bounds = given["interval"]
    return Interval(
        bounds=None if bounds is None else (instant(bounds[0]), instant(bounds[1])), version=given["version"]
    )
