"""Delta tables: their current version, one version of them, and writes that leave their plan in the log."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from delta import exceptions as conflicts
from delta.tables import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io.causes import cause_of
from spark_scoring.io.files import read_text

CONFLICTS = (
    conflicts.ConcurrentAppendException,
    conflicts.ConcurrentDeleteDeleteException,
    conflicts.ConcurrentDeleteReadException,
    conflicts.ConcurrentTransactionException,
    conflicts.ConcurrentWriteException,
    conflicts.MetadataChangedException,
    conflicts.ProtocolChangedException,
)


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
    """The newest version; `-1` where there is no table yet. Costs about 20 ms, no Spark job."""
    return int(_snapshot(spark, path).version())


def last_transaction(spark: SparkSession, path: str, app_id: str) -> int | None:
    """The greatest transaction version that the table's log holds for the id."""
    found = _snapshot(spark, path).transactions().get(app_id)
    return int(found.get()) if found.isDefined() else None


def location_of(spark: SparkSession, table: str) -> str:
    """The folder of a catalog table.

    Raises: RunError: there is no such table, or it is not Delta.
    """
    try:
        return str(DeltaTable.forName(spark, table).detail().first()["location"])
    except AnalysisException as error:
        raise errors.missing_table(table, where="the catalog", cause=error.getCondition() or "") from None


def read_version(spark: SparkSession, path: str, version: int) -> DataFrame:
    """The table as it was at that version.

    Raises: RunError: the version, or the table, is no longer there.
    """
    try:
        return spark.read.format("delta").option("versionAsOf", version).load(path)
    except (AnalysisException, Py4JJavaError) as error:
        raise errors.unreadable_version(path, version=version, cause=_condition(error)) from None


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


def metadata_at(spark: SparkSession, path: str, version: int) -> str | None:
    """The `userMetadata` of one version, read straight from its log file."""
    text = read_text(spark, f"{path}/_delta_log/{version:020d}.json")
    for line in (text or "").splitlines():
        action = json.loads(line)
        if "commitInfo" in action:
            metadata: str | None = action["commitInfo"].get("userMetadata")
            return metadata
    return None


def append_once(
    frame: DataFrame, path: str, *, app_id: str, txn_version: int, metadata: str, partition_by: Sequence[str]
) -> int:
    """Append under a transaction id, so that the same id writes once; the version written.

    Raises: RunError: Delta skipped the write because this id is already in its log.
    """
    writer = frame.write.format("delta").mode("append").option("mergeSchema", "true")
    writer = writer.option("txnAppId", app_id).option("txnVersion", txn_version)
    return _write(frame, writer.partitionBy(*partition_by), path, metadata)


def replace_where(frame: DataFrame, path: str, *, predicate: str, metadata: str, partition_by: Sequence[str]) -> int:
    """Replace the rows for which the predicate holds by the frame; the version written."""
    writer = frame.write.format("delta").option("mergeSchema", "true").partitionBy(*partition_by)
    if is_table(frame.sparkSession, path):
        writer = writer.mode("overwrite").option("replaceWhere", predicate)
    else:
        writer = writer.mode("errorifexists")
    return _write(frame, writer, path, metadata)


def lost_race(error: Exception) -> bool:
    """Whether the write failed because another writer committed first, and nothing was written."""
    created = isinstance(error, AnalysisException) and error.getCondition() == "DELTA_PATH_EXISTS"
    return created or isinstance(error, CONFLICTS)


def properties(spark: SparkSession, path: str) -> dict[str, str]:
    """The table's own properties."""
    row = DeltaTable.forPath(spark, path).detail().select("properties").first()
    return dict(row["properties"]) if row else {}


def set_property(spark: SparkSession, path: str, name: str, value: str) -> None:
    """Write one table property."""
    # SQL over a path is switched off where users' expressions run, so this goes through a session of its own
    aside = spark.newSession()
    aside.conf.set("spark.sql.runSQLOnFiles", "true")
    aside.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('{name}' = '{value}')")


def _snapshot(spark: SparkSession, path: str) -> Any:
    # DeltaTable.history(1) would say it too, for 300 ms a table and micro-batch
    jvm: Any = spark._jvm
    none = jvm.scala.Option.empty()
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path)
    return log.update(False, none, none)


def _write(frame: DataFrame, writer: Any, path: str, metadata: str) -> int:
    spark = frame.sparkSession
    before = current_version(spark, path)
    try:
        writer.option("userMetadata", metadata).save(path)
    except AnalysisException as error:
        if lost_race(error):
            raise
        raise errors.not_written(path, cause=cause_of(error)) from error
    for version in range(current_version(spark, path), before, -1):
        if metadata_at(spark, path, version) == metadata:
            return version
    raise errors.skipped_write(path)


def _condition(error: AnalysisException | Py4JJavaError) -> str:
    if isinstance(error, AnalysisException):
        return error.getCondition() or "unreadable"
    return str(error.java_exception.getClass().getSimpleName())
