"""What is true of a run, found without a line of the product: the producer's acknowledged log against the table.

The table is read as files: Delta's log is JSON, its rows are Parquet.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq


@dataclass(frozen=True)
class Sent:
    """A record that the broker acknowledged: where it stands, and its bytes."""

    topic: str
    partition: int
    offset: int
    value: bytes | None

    @property
    def at(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, kw_only=True)
class Damage:
    """What is wrong; empty in all its parts where each record is in exactly one place and is what was sent."""

    missing: tuple[tuple[str, int, int], ...]
    doubled: tuple[tuple[str, int, int], ...]
    strange: tuple[tuple[str, int, int], ...]
    changed: tuple[tuple[str, int, int], ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.doubled or self.strange or self.changed)


def damage(sent: Iterable[Sent], table: str | Path) -> Damage:
    """Each acknowledged record against the output table: there once, scored with its key or rejected with its bytes."""
    expected = {one.at: one.value for one in sent}
    rows = rows_of(table)
    found = Counter(_at(row) for row in rows)
    return Damage(
        missing=tuple(sorted(expected.keys() - found.keys())),
        doubled=tuple(sorted(at for at, times in found.items() if times > 1)),
        strange=tuple(sorted(found.keys() - expected.keys())),
        changed=tuple(sorted({_at(row) for row in rows if _at(row) in expected and _differs(row, expected[_at(row)])})),
    )


def rows_of(table: str | Path) -> list[dict[str, Any]]:
    """The rows of a Delta table as its log says it stands now."""
    rows = []
    for path in sorted(_files(Path(table))):
        rows += pq.ParquetFile(Path(table, path)).read().to_pylist()
    return rows


def metadata_of(table: str | Path) -> list[dict[str, Any]]:
    """What writers left in the log, oldest first, where it is JSON."""
    found = []
    for action in _actions(Path(table)):
        text = action.get("commitInfo", {}).get("userMetadata")
        found += [json.loads(text)] if text else []
    return found


def _files(table: Path) -> set[str]:
    files: dict[str, Mapping[str, Any]] = {}
    for action in _actions(table):
        if "remove" in action:
            files.pop(unquote(action["remove"]["path"]), None)
        if "add" in action:
            assert not action["add"].get("deletionVector"), "the oracle knows no deletion vectors"
            files[unquote(action["add"]["path"])] = action["add"]
    return set(files)


def _actions(table: Path) -> list[dict[str, Any]]:
    logs = sorted(path for path in (table / "_delta_log").glob("*.json") if path.stem.isdigit())
    assert int(logs[0].stem) == 0, "the oracle needs the whole log"
    return [json.loads(line) for log in logs for line in log.read_text().splitlines()]


def _at(row: Mapping[str, Any]) -> tuple[str, int, int]:
    source = row["source"]
    return source["topic"], source["partition"], source["offset"]


def _differs(row: Mapping[str, Any], value: bytes | None) -> bool:
    if row["outcome"] == "rejected":
        return bool(row["raw"] != value)
    return bool(value is None or row["id"] != json.loads(value)["id"] or row["score"] is None)
