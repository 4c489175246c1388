"""Delta tables as they are read: the current version, one version of them, and what their log says."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import delta_log
from spark_scoring.io.causes import cause_of
from spark_scoring.io.delta_log import Version

# how far back the log is read, as far as need be: reading all of a month's takes minutes
TAILS = (50, 1000, None)


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a table holds; None for what nobody knows without reading it."""

    bytes: int | None
    files: int | None
    rows: int | None


@dataclass(frozen=True, kw_only=True)
class Demands:
    """What a table asks of a write: its partition columns, columns that are never null, that no row is replaced, and
    that each row's change is told.
    """

    partitioned: tuple[str, ...]
    filled: tuple[str, ...]
    append_only: bool
    change_feed: bool


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a table's log: the commit's time in UTC, and what its writer left in it."""

    version: int
    committed_at: datetime
    operation: str
    user_metadata: str | None
    rows_written: int


def is_table(spark: SparkSession, path: str) -> bool:
    """Whether a Delta table stands at the path.

    Raises: RunError: the path cannot be looked into.
    """
    try:
        return bool(DeltaTable.isDeltaTable(spark, path))
    except (PySparkException, Py4JJavaError) as error:
        raise errors.unusable_place(path, cause=cause_of(error)) from error


def current_version(spark: SparkSession, path: str) -> int:
    """The newest version; `-1` where there is no table yet. No Spark job."""
    return int(delta_log.newest(spark, path).version())


def version_of(spark: SparkSession, path: str) -> Version | None:
    """The newest version of the Delta table at the path, None where there is none. No Spark job.

    Raises: RunError: the path cannot be looked into.
    """
    try:
        snapshot = delta_log.newest(spark, path)
    except (PySparkException, Py4JJavaError) as error:
        raise errors.unusable_place(path, cause=cause_of(error)) from error
    return Version.of(snapshot)


def last_transaction(spark: SparkSession, path: str, app_id: str) -> int | None:
    """The greatest transaction version that the table's log holds for the id."""
    return delta_log.transactions(spark, delta_log.newest(spark, path)).get(app_id)


def transactions(spark: SparkSession, path: str, *, prefix: str) -> dict[str, int]:
    """The transaction ids that begin so, each with its greatest version. They outlive the log's entries."""
    known = delta_log.transactions(spark, delta_log.newest(spark, path))
    return {app_id: version for app_id, version in known.items() if app_id.startswith(prefix)}


def location_of(spark: SparkSession, table: str) -> str | None:
    """The folder of a catalog's Delta table; None for a table or view of another kind.

    Raises: RunError: there is no such table.
    """
    try:
        # Delta says of what is not there that it is not Delta
        spark.read.table(table)
        found: Any = DeltaTable.forName(spark, table)
    except AnalysisException as error:
        if error.getCondition() == "DELTA_MISSING_DELTA_TABLE":
            return None
        raise errors.missing_table(table, where="the catalog", cause=error.getCondition() or "") from None
    return str(found._jdt.deltaLog().dataPath().toString())


def size_at(spark: SparkSession, path: str, version: int) -> Size:
    """What the table held at that version, as its log says it; rows None if the log does not know of every file."""
    snapshot = delta_log.at(spark, path, version)
    counted = "get_json_object(stats, '$.numRecords') - coalesce(deletionVector.cardinality, 0)"
    files = DataFrame(snapshot.allFiles().toDF(), spark).selectExpr("size", f"cast({counted} as bigint) as rows")
    found = files.selectExpr("count(*) as files", "sum(size) as bytes", "count(rows) as known", "sum(rows) as rows")
    (row,) = found.collect()
    return Size(
        bytes=row["bytes"] or 0, files=row["files"], rows=row["rows"] or 0 if row["known"] == row["files"] else None
    )


def read_version(spark: SparkSession, path: str, version: int, *, table_id: str | None = None) -> DataFrame:
    """The table as it was at that version.

    Raises: RunError: the version, or the table, is no longer there, or it is that of a table with another id.
    """
    try:
        there = table_id and str(delta_log.at(spark, path, version).metadata().id())
        frame = spark.read.format("delta").option("versionAsOf", version).load(path)
    except (AnalysisException, Py4JJavaError) as error:
        raise errors.unreadable_version(path, version=version, cause=_condition(error)) from None
    if there != table_id:
        raise errors.made_anew(path, version=version)
    return frame


def folder_of(spark: SparkSession, path: str) -> str:
    """The table's folder as Spark spells it, with its scheme."""
    return str(delta_log.of(spark, path).dataPath().toString())


def history(spark: SparkSession, path: str, newest: int | None = None) -> tuple[Entry, ...]:
    """The log, newest first; empty where there is no table. `newest` bounds how many entries are read."""
    if not is_table(spark, path):
        return ()
    table = DeltaTable.forPath(spark, path)
    log = table.history() if newest is None else table.history(newest)
    columns = ("version", "timestamp", "operation", "userMetadata", "operationMetrics")
    return tuple(
        Entry(
            version=row["version"],
            committed_at=row["timestamp"].astimezone(UTC),
            operation=row["operation"],
            user_metadata=row["userMetadata"],
            rows_written=int((row["operationMetrics"] or {}).get("numOutputRows", 0)),
        )
        for row in log.select(*columns).collect()
    )


def newest_first(spark: SparkSession, path: str) -> Iterator[Entry]:
    """The log's entries, newest first, read only as far back as they are asked for; none where there is no table."""
    last: int | None = None
    for newest in TAILS:
        entries = history(spark, path, newest=newest)
        # another writer may have committed since the last read
        yield from (entry for entry in entries if last is None or entry.version < last)
        if newest is None or len(entries) < newest:
            return
        last = entries[-1].version


def metadata_at(spark: SparkSession, path: str, version: int) -> str | None:
    """The `userMetadata` of one version, read straight from its log file."""
    for action in delta_log.actions(spark, path, version):
        if "commitInfo" in action:
            metadata: str | None = action["commitInfo"].get("userMetadata")
            return metadata
    return None


def changed_rows(spark: SparkSession, path: str, version: int) -> bool:
    """Whether one version added or removed rows, straight from its log file; one that only moved them did not."""
    actions = list(delta_log.actions(spark, path, version))
    files = [action[kind] for action in actions for kind in ("add", "remove") if kind in action]
    return not actions or any(
        file["dataChange"] and json.loads(file.get("stats") or "{}").get("numRecords") != 0 for file in files
    )


def demands(spark: SparkSession, path: str) -> Demands:
    """What the table asks of a write to it. No Spark job."""
    found = delta_log.newest(spark, path).metadata()
    fields = json.loads(found.schema().json())["fields"]
    # a column that the table fills by itself is asked of nobody
    computed = ("delta.generationExpression", "CURRENT_DEFAULT", "delta.identity.start")
    filled = [f["name"] for f in fields if not f["nullable"] and not any(key in f["metadata"] for key in computed)]
    properties = {name.lower(): value for name, value in delta_log.as_java(spark, found.configuration()).items()}
    return Demands(
        partitioned=tuple(delta_log.as_java(spark, found.partitionColumns())),
        filled=tuple(filled),
        append_only=properties.get("delta.appendonly", "").lower() == "true",
        change_feed=properties.get("delta.enablechangedatafeed", "").lower() == "true",
    )


def spreads_at(spark: SparkSession, path: str, version: int, *, column: str) -> list[tuple[datetime, datetime]] | None:
    """The least and the greatest instant of a column in each file that one version added; None if a file does not say.

    By the files' statistics, which know milliseconds.
    """
    known = [
        json.loads(action["add"].get("stats") or "{}")
        for action in delta_log.actions(spark, path, version)
        if "add" in action
    ]
    try:
        texts = [(file["minValues"][column], file["maxValues"][column]) for file in known]
    except KeyError:
        return None
    return [
        (datetime.fromisoformat(low).astimezone(UTC), datetime.fromisoformat(high).astimezone(UTC))
        for low, high in texts
    ]


def _condition(error: AnalysisException | Py4JJavaError) -> str:
    if isinstance(error, AnalysisException):
        return error.getCondition() or "unreadable"
    return str(error.java_exception.getClass().getSimpleName())
