"""Writes of Delta tables that leave their plan in the log, some of them under an id that writes once."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pyspark.sql.functions as F
from delta import exceptions as conflicts
from delta.tables import DeltaTable
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import delta, delta_log
from spark_scoring.io.causes import cause_of
from spark_scoring.io.delta_log import Version


class OvertakenError(PySparkException):
    """Rows that were to be replaced are no longer there: another writer has replaced them."""


CONFLICTS = (
    OvertakenError,
    conflicts.ConcurrentAppendException,
    conflicts.ConcurrentDeleteDeleteException,
    conflicts.ConcurrentDeleteReadException,
    conflicts.ConcurrentTransactionException,
    conflicts.ConcurrentWriteException,
    conflicts.MetadataChangedException,
    conflicts.ProtocolChangedException,
)
# of a new table that gets many commits: a commit that Delta makes a checkpoint after takes several times as long, and
# upkeep makes them more often, beside the commits
OFTEN = {"delta.checkpointInterval": "500"}
# with these set in the session, Delta skips a write without a word
IDEMPOTENT = ("spark.databricks.delta.write.txnAppId", "spark.databricks.delta.write.txnVersion")


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """Delta's guard against writing twice: of an id it takes greater versions only."""

    app_id: str
    version: int


@dataclass(frozen=True, kw_only=True)
class Written:
    """Files that were written and are not committed yet: their statistics, and a way to read their rows."""

    statistics: tuple[Mapping[str, Any], ...]
    read: Callable[[], DataFrame]

    def counts(self, column: str) -> tuple[int, int]:
        """How many rows there are, and in how many of them the column is null.

        The files are read only where the table keeps no statistics of the column.
        """
        try:
            known = [(file["numRecords"], file["nullCount"][column]) for file in self.statistics]
        except KeyError:
            (row,) = self.read().selectExpr("count(*) as rows", f"count_if(`{column}` is null) as nulls").collect()
            return row["rows"], row["nulls"]
        return sum(rows for rows, _ in known), sum(nulls for _, nulls in known)


def append_once(
    frame: DataFrame, path: str, *, txn: Transaction | None, metadata: str | Callable[[Written], str],
    partition_by: Sequence[str], create: bool = False, check: Callable[[Version | None], None] = lambda _: None,
) -> Version | None:  # fmt: skip
    """Append under a transaction id, so that the same id writes once; the version written, None if it was there.

    `metadata` may be made of what was written, right before the commit. With `create` the table must not be there
    yet: of two that create it, one fails. `check` raises if the table, as it is before, is not to be written to. The
    steps are those of Delta's writer, see docs/decisions/0008.
    """
    spark = frame.sparkSession
    snapshot, stamps = delta_log.newest(spark, path), []
    check(Version.of(snapshot))
    commit = _Commit.begin(spark, path, snapshot, mode="ErrorIfExists" if create else "Append", columns=partition_by)
    if txn is not None:
        # noted as read: of two commits under one id that begin at the same version, Delta refuses one
        commit.transaction.readTxn().addOne(txn.app_id)
        if delta_log.transactions(spark, snapshot).get(txn.app_id, -1) >= txn.version:
            return None
        stamps = [commit.stamp(txn)]
    try:
        files = commit.write(frame, properties=OFTEN if create else {})
        if not isinstance(metadata, str):
            metadata = metadata(commit.written(files))
        return commit.finish(files, stamps, metadata=metadata)
    except AnalysisException as error:
        if lost_race(error):
            raise
        raise errors.not_written(path, cause=cause_of(error)) from error


def note(spark: SparkSession, path: str, *, txn: Transaction, metadata: str) -> Version | None:
    """A commit without rows that stands for its transaction id and metadata alone; None if the id was there already."""
    nothing = spark.createDataFrame([], spark.read.format("delta").load(path).schema)
    return append_once(nothing, path, txn=txn, metadata=metadata, partition_by=())


def replace_where(
    frame: DataFrame, path: str, *, predicate: str, metadata: str, partition_by: Sequence[str]
) -> int | None:
    """Replace the rows for which the predicate holds by the frame; the version written, None if there are none of both.

    Delta makes no commit then.

    Raises: ConfigError: the session would let Delta skip it. RunError: the table does not take the frame.
    """
    _check_never_skipped(frame.sparkSession)
    writer = frame.write.format("delta").option("mergeSchema", "true").partitionBy(*partition_by)
    if delta.is_table(frame.sparkSession, path):
        writer = writer.mode("overwrite").option("replaceWhere", predicate)
    else:
        writer = writer.mode("errorifexists")
    return _write(frame, writer, path, metadata)


def merge_update(frame: DataFrame, path: str, *, condition: str, rows: int, metadata: str) -> None:
    """Replace the rows `t` of the table that a row `s` of the frame stands for, `rows`; new columns are merged in.

    Raises: ConfigError: the session would let Delta skip it. OvertakenError: there are fewer.
    """
    spark = frame.sparkSession
    _check_never_skipped(spark)
    _check_there(spark.read.format("delta").load(path).alias("t"), frame, condition, rows=rows)
    setting = "spark.databricks.delta.commitInfo.userMetadata"
    merge = DeltaTable.forPath(spark, path).alias("t").merge(frame.alias("s"), condition).withSchemaEvolution()
    spark.conf.set(setting, metadata)
    try:
        merge.whenMatchedUpdateAll().execute()
    finally:
        spark.conf.unset(setting)


def replace_rows(frame: DataFrame, path: str, *, condition: str, rows: int, metadata: str) -> None:
    """Put the rows `s` of the frame in the place of the `rows` rows `t` of the table that they stand for.

    New columns are merged in, and those that the frame lacks stay as they are. What counts as read are the files with
    such rows alone: what others append meanwhile is no conflict, as it is for Delta's MERGE. See `append_once`.

    Raises: RunError: a row stands for several. OvertakenError: there are fewer.
    """
    spark = frame.sparkSession
    snapshot = delta_log.newest(spark, path)
    touched = _files_of(snapshot, frame, path, condition=condition)
    columns = delta_log.as_java(spark, snapshot.metadata().partitionColumns())
    commit = _Commit.begin(spark, path, snapshot, mode="Append", columns=columns)
    then = commit.rows_of(snapshot, touched).alias("t")
    _check_there(then, frame, condition, rows=rows)
    given = {name.lower() for name in frame.columns}
    own = [F.col(f"t.`{name}`") for name in then.columns if name.lower() not in given]
    new = frame.alias("s").join(then, F.expr(condition)).select("s.*", *own)
    kept = then.join(frame.alias("s"), F.expr(condition), "left_anti")
    commit.transaction.trackFilesRead(commit.to_scala.toSeq(touched))
    files = commit.write(kept.unionByName(new, allowMissingColumns=True))
    made, _ = commit.written(files).counts(then.columns[0])
    if made != then.count():
        raise errors.several_in_place(path)
    removed = [file.removeWithTimestamp(_milliseconds(), True) for file in touched]
    commit.finish(files, removed, metadata=metadata)


def lost_race(error: Exception) -> bool:
    """Whether the write failed because another writer committed first, and nothing was written."""
    created = isinstance(error, AnalysisException) and error.getCondition() == "DELTA_PATH_EXISTS"
    return created or isinstance(error, CONFLICTS)


@dataclass(frozen=True, kw_only=True)
class _Commit:
    """One commit in the steps of Delta's own writer: files are written, and an entry of the log makes them count."""

    spark: SparkSession
    log: Any
    transaction: Any
    mode: Any
    columns: Any

    @staticmethod
    def begin(spark: SparkSession, path: str, snapshot: Any, *, mode: str, columns: Sequence[str]) -> "_Commit":
        jvm: Any = spark._jvm
        log = delta_log.of(spark, path)
        return _Commit(
            spark=spark,
            log=log,
            transaction=log.startTransaction(jvm.scala.Option.empty(), jvm.scala.Option.apply(snapshot)),
            mode=getattr(jvm.org.apache.spark.sql.SaveMode, mode),
            columns=jvm.org.apache.spark.api.python.PythonUtils.toSeq(list(columns)),
        )

    @property
    def java(self) -> Any:
        jvm: Any = self.spark._jvm
        return jvm.org.apache.spark.sql.delta

    @property
    def to_scala(self) -> Any:
        jvm: Any = self.spark._jvm
        return jvm.org.apache.spark.api.python.PythonUtils

    @property
    def nothing(self) -> Any:
        jvm: Any = self.spark._jvm
        return jvm.scala.Option.empty()

    def some(self, value: Any) -> Any:
        jvm: Any = self.spark._jvm
        return jvm.scala.Option.apply(value)

    def stamp(self, txn: Transaction) -> Any:
        """The log's note of the transaction id."""
        return self.java.actions.SetTransaction(txn.app_id, txn.version, self.some(_milliseconds()))

    def write(self, frame: DataFrame, *, properties: Mapping[str, str] = MappingProxyType({})) -> Any:
        """Write the files, new columns and all; the actions of the log that would make them count."""
        session = self.spark._jsparkSession
        merging, own = self.to_scala.toScalaMap({"mergeSchema": "true"}), self.to_scala.toScalaMap(dict(properties))
        options = self.java.DeltaOptions(merging, session.sessionState().conf())
        command = self.java.commands.WriteIntoDelta(
            self.log, self.mode, options, self.columns, own, frame._jdf, self.nothing, self.nothing, False
        )
        return command.write(self.transaction, session, self.nothing, False)

    def written(self, files: Any) -> Written:
        """What `write` has written."""
        actions = [(action, json.loads(action.json())) for action in delta_log.as_java(self.spark, files)]
        adds = [(action, said["add"]) for action, said in actions if "add" in said]

        def read() -> DataFrame:
            # a table that is not there yet has no snapshot, and one that gets new columns another
            there = self.java.DummySnapshot(
                self.log.logPath(), self.log, self.transaction.metadata(), self.nothing,
                self.some(self.transaction.protocol()),
            )  # fmt: skip
            return self.rows_of(there, [action for action, _ in adds])

        return Written(statistics=tuple(json.loads(add.get("stats") or "{}") for _, add in adds), read=read)

    def rows_of(self, snapshot: Any, files: Sequence[Any]) -> DataFrame:
        """The rows of some files of the table."""
        frame = self.log.createDataFrame(snapshot, self.to_scala.toSeq(list(files)), False, self.nothing)
        return DataFrame(frame, self.spark)

    def finish(self, files: Any, others: Sequence[Any], *, metadata: str) -> Version:
        """Commit the files that were written, and other actions with them."""
        said = getattr(self.java, "DeltaOperations$Write")(
            self.mode, self.some(self.columns), self.nothing, self.some(metadata), *[self.nothing] * 5
        )
        number = int(self.transaction.commit(files.appendedAll(self.to_scala.toSeq(list(others))), said))
        return Version(number=number, table_id=str(self.transaction.metadata().id()))


def _files_of(snapshot: Any, frame: DataFrame, path: str, *, condition: str) -> list[Any]:
    """The files of the snapshot with a row `t` that a row `s` of the frame stands for."""
    table = frame.sparkSession.read.format("delta").option("versionAsOf", snapshot.version()).load(path)
    table = table.select("*", F.col("_metadata.file_name").alias("__file")).alias("t")
    found = table.join(frame.alias("s"), F.expr(condition), "left_semi").select("__file").distinct().collect()
    names = {row["__file"] for row in found}
    if not names:
        return []
    wanted = ", ".join(f"'{name}'" for name in sorted(names))
    return list(snapshot.allFiles().filter(f"element_at(split(path, '/'), -1) in ({wanted})").collect())


def _write(frame: DataFrame, writer: Any, path: str, metadata: str) -> int | None:
    spark = frame.sparkSession
    before = delta.current_version(spark, path)
    try:
        writer.option("userMetadata", metadata).save(path)
    except AnalysisException as error:
        if lost_race(error):
            raise
        raise errors.not_written(path, cause=cause_of(error)) from error
    for version in range(delta.current_version(spark, path), before, -1):
        if delta.metadata_at(spark, path, version) == metadata:
            return version
    return None


def _check_there(then: DataFrame, frame: DataFrame, condition: str, *, rows: int) -> None:
    if then.join(frame.alias("s"), F.expr(condition), "left_semi").count() < rows:
        raise OvertakenError("rows that were to be replaced were replaced by another writer")


def _check_never_skipped(spark: SparkSession) -> None:
    for setting in IDEMPOTENT:
        if spark.conf.get(setting, None) is not None:
            raise errors.skipping_session(setting)


def _milliseconds() -> int:
    return int(time.time() * 1000)
