"""Delta tables: their current version, one version of them, and writes that leave their plan in the log."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pyspark.sql.functions as F
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


# of a new table that gets many commits: a commit that Delta makes a checkpoint after takes several times as long, and
# upkeep makes them more often, beside the commits
OFTEN = {"delta.checkpointInterval": "500"}

# a feed's small files become files of this size, and those are left alone: upkeep must not rewrite a whole table
WHOLE_FILE = 64 * 2**20
# with these set in the session, Delta skips a write without a word
IDEMPOTENT = ("spark.databricks.delta.write.txnAppId", "spark.databricks.delta.write.txnVersion")
# how far back the log is read, as far as need be: reading all of a month's takes minutes
TAILS = (50, 1000, None)
_ASIDE = {
    # SQL over a path is switched off where users' expressions run
    "spark.sql.runSQLOnFiles": "true",
    "spark.databricks.delta.snapshotPartitions": "2",
    # one file at a time: a stream needs the other cores
    "spark.databricks.delta.optimize.maxThreads": "1",
    "spark.databricks.delta.optimize.minFileSize": str(WHOLE_FILE),
    "spark.databricks.delta.optimize.maxFileSize": str(2 * WHOLE_FILE),
    # clustered files below these 100 GB would be sorted again each time
    "spark.databricks.delta.optimize.clustering.mergeStrategy.minCubeSize.threshold": str(2 * WHOLE_FILE),
    "spark.databricks.delta.optimize.clustering.mergeStrategy.minCubeSize.targetCubeSize": str(4 * WHOLE_FILE),
}


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of a table, and the id that it has for its life: what is deleted and made anew has another."""

    number: int
    table_id: str

    def follows(self, before: "Version") -> bool:
        """Whether it is of the same table, and not older: of a copy that was put back Delta keeps the id."""
        return self.table_id == before.table_id and self.number >= before.number


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a table holds; None for what nobody knows without reading it."""

    bytes: int | None
    files: int | None
    rows: int | None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The columns that a table's files are split or sorted by, and its own properties."""

    partitioned: tuple[str, ...]
    clustered: tuple[str, ...]
    properties: Mapping[str, str]


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
    return int(_snapshot(spark, path).version())


def version_of(spark: SparkSession, path: str) -> Version | None:
    """The newest version of the Delta table at the path, None where there is none. No Spark job.

    Raises: RunError: the path cannot be looked into.
    """
    try:
        snapshot = _snapshot(spark, path)
    except (PySparkException, Py4JJavaError) as error:
        raise errors.unusable_place(path, cause=cause_of(error)) from error
    return _version(snapshot)


def last_transaction(spark: SparkSession, path: str, app_id: str) -> int | None:
    """The greatest transaction version that the table's log holds for the id."""
    return _transactions(spark, _snapshot(spark, path)).get(app_id)


def transactions(spark: SparkSession, path: str, *, prefix: str) -> dict[str, int]:
    """The transaction ids that begin so, each with its greatest version. They outlive the log's entries."""
    known = _transactions(spark, _snapshot(spark, path))
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
    snapshot = _snapshot_at(spark, path, version)
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
        there = table_id and str(_snapshot_at(spark, path, version).metadata().id())
        frame = spark.read.format("delta").option("versionAsOf", version).load(path)
    except (AnalysisException, Py4JJavaError) as error:
        raise errors.unreadable_version(path, version=version, cause=_condition(error)) from None
    if there != table_id:
        raise errors.made_anew(path, version=version)
    return frame


def folder_of(spark: SparkSession, path: str) -> str:
    """The table's folder as Spark spells it, with its scheme."""
    return str(_log(spark, path).dataPath().toString())


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
    for action in _actions(spark, path, version):
        if "commitInfo" in action:
            metadata: str | None = action["commitInfo"].get("userMetadata")
            return metadata
    return None


def changed_rows(spark: SparkSession, path: str, version: int) -> bool:
    """Whether one version added or removed rows, straight from its log file; one that only moved them did not."""
    actions = list(_actions(spark, path, version))
    files = [action[kind] for action in actions for kind in ("add", "remove") if kind in action]
    return not actions or any(
        file["dataChange"] and json.loads(file.get("stats") or "{}").get("numRecords") != 0 for file in files
    )


def _actions(spark: SparkSession, path: str, version: int) -> Iterator[dict[str, Any]]:
    text = read_text(spark, f"{path}/_delta_log/{version:020d}.json")
    return map(json.loads, (text or "").splitlines())


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
    jvm: Any = spark._jvm
    delta, to_scala = jvm.org.apache.spark.sql.delta, jvm.org.apache.spark.api.python.PythonUtils
    some, nothing, modes = jvm.scala.Option.apply, jvm.scala.Option.empty(), jvm.org.apache.spark.sql.SaveMode
    session, log, mode = spark._jsparkSession, _log(spark, path), modes.ErrorIfExists if create else modes.Append
    snapshot, stamps = _snapshot(spark, path), []
    check(_version(snapshot))
    transaction = log.startTransaction(nothing, some(snapshot))
    if txn is not None:
        # noted as read: of two commits under one id that begin at the same version, Delta refuses one
        transaction.readTxn().addOne(txn.app_id)
        if _transactions(spark, transaction.snapshot()).get(txn.app_id, -1) >= txn.version:
            return None
        stamps = [delta.actions.SetTransaction(txn.app_id, txn.version, some(int(time.time() * 1000)))]
    columns = to_scala.toSeq(list(partition_by))
    command = _command(frame, log, mode=mode, columns=columns, properties=OFTEN if create else {})
    try:
        written = command.write(transaction, session, nothing, False)
        if not isinstance(metadata, str):
            metadata = metadata(_written(spark, transaction, written))
        said = getattr(delta, "DeltaOperations$Write")(mode, some(columns), nothing, some(metadata), *[nothing] * 5)
        number = int(transaction.commit(written.appendedAll(to_scala.toSeq(stamps)), said))
        return Version(number=number, table_id=str(transaction.metadata().id()))
    except AnalysisException as error:
        if lost_race(error):
            raise
        raise errors.not_written(path, cause=cause_of(error)) from error


def replace_rows(frame: DataFrame, path: str, *, condition: str, metadata: str) -> None:
    """Put the rows `s` of the frame in the place of those rows `t` of the table that they stand for; see `append_once`.

    New columns are merged in, and those that the frame lacks stay as they are. What counts as read are the files with
    such rows alone: what others append meanwhile is no conflict, as it is for Delta's MERGE.

    Raises: RunError: a row stands for several.
    """
    spark = frame.sparkSession
    jvm: Any = spark._jvm
    delta, to_scala = jvm.org.apache.spark.sql.delta, jvm.org.apache.spark.api.python.PythonUtils
    some, nothing, mode = jvm.scala.Option.apply, jvm.scala.Option.empty(), jvm.org.apache.spark.sql.SaveMode.Append
    log, snapshot = _log(spark, path), _snapshot(spark, path)
    touched = _files_of(snapshot, frame, path, condition=condition)
    files = to_scala.toSeq(touched)
    then = DataFrame(log.createDataFrame(snapshot, files, False, nothing), spark).alias("t")
    given = {name.lower() for name in frame.columns}
    own = [F.col(f"t.`{name}`") for name in then.columns if name.lower() not in given]
    new = frame.alias("s").join(then, F.expr(condition)).select("s.*", *own)
    kept = then.join(frame.alias("s"), F.expr(condition), "left_anti")
    transaction = log.startTransaction(nothing, some(snapshot))
    transaction.trackFilesRead(files)
    columns = snapshot.metadata().partitionColumns()
    command = _command(kept.unionByName(new, allowMissingColumns=True), log, mode=mode, columns=columns)
    written = command.write(transaction, spark._jsparkSession, nothing, False)
    rows, _ = _written(spark, transaction, written).counts(then.columns[0])
    if rows != then.count():
        raise errors.several_in_place(path)
    removed = to_scala.toSeq([file.removeWithTimestamp(int(time.time() * 1000), True) for file in touched])
    said = getattr(delta, "DeltaOperations$Write")(mode, some(columns), nothing, some(metadata), *[nothing] * 5)
    transaction.commit(written.appendedAll(removed), said)


def _command(
    frame: DataFrame, log: Any, *, mode: Any, columns: Any, properties: Mapping[str, str] = MappingProxyType({})
) -> Any:
    spark = frame.sparkSession
    jvm: Any = spark._jvm
    delta, to_scala = jvm.org.apache.spark.sql.delta, jvm.org.apache.spark.api.python.PythonUtils
    session, nothing = spark._jsparkSession, jvm.scala.Option.empty()
    options = delta.DeltaOptions(to_scala.toScalaMap({"mergeSchema": "true"}), session.sessionState().conf())
    return delta.commands.WriteIntoDelta(
        log, mode, options, columns, to_scala.toScalaMap(dict(properties)), frame._jdf, nothing, nothing, False
    )


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
    if is_table(frame.sparkSession, path):
        writer = writer.mode("overwrite").option("replaceWhere", predicate)
    else:
        writer = writer.mode("errorifexists")
    return _write(frame, writer, path, metadata)


def merge_update(spark: SparkSession, path: str, frame: DataFrame, *, condition: str, metadata: str) -> None:
    """Replace the rows `t` of the table that a row `s` of the frame stands for; new columns are merged in.

    Raises: ConfigError: the session would let Delta skip it.
    """
    _check_never_skipped(spark)
    setting = "spark.databricks.delta.commitInfo.userMetadata"
    merge = DeltaTable.forPath(spark, path).alias("t").merge(frame.alias("s"), condition).withSchemaEvolution()
    spark.conf.set(setting, metadata)
    try:
        merge.whenMatchedUpdateAll().execute()
    finally:
        spark.conf.unset(setting)


def lost_race(error: Exception) -> bool:
    """Whether the write failed because another writer committed first, and nothing was written."""
    created = isinstance(error, AnalysisException) and error.getCondition() == "DELTA_PATH_EXISTS"
    return created or isinstance(error, CONFLICTS)


def layout(spark: SparkSession, path: str) -> Layout:
    """How the table lies on disk, and its properties."""
    row = DeltaTable.forPath(spark, path).detail().select("partitionColumns", "clusteringColumns", "properties").first()
    assert row is not None
    return Layout(
        partitioned=tuple(row["partitionColumns"]),
        clustered=tuple(row["clusteringColumns"]),
        properties=dict(row["properties"]),
    )


def demands(spark: SparkSession, path: str) -> Demands:
    """What the table asks of a write to it. No Spark job."""
    found = _snapshot(spark, path).metadata()
    fields = json.loads(found.schema().json())["fields"]
    # a column that the table fills by itself is asked of nobody
    computed = ("delta.generationExpression", "CURRENT_DEFAULT", "delta.identity.start")
    filled = [f["name"] for f in fields if not f["nullable"] and not any(key in f["metadata"] for key in computed)]
    properties = {name.lower(): value for name, value in _as_java(spark, found.configuration()).items()}
    return Demands(
        partitioned=tuple(_as_java(spark, found.partitionColumns())),
        filled=tuple(filled),
        append_only=properties.get("delta.appendonly", "").lower() == "true",
        change_feed=properties.get("delta.enablechangedatafeed", "").lower() == "true",
    )


def set_property(spark: SparkSession, path: str, name: str, value: str) -> None:
    """Write one table property."""
    _aside(spark).sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('{name}' = '{value}')")


def cluster_by(spark: SparkSession, path: str, columns: Sequence[str]) -> None:
    """Let `compact` sort the table's files by these columns: Delta's liquid clustering. Nothing is rewritten yet."""
    named = ", ".join(f"`{column}`" for column in columns)
    _aside(spark).sql(f"ALTER TABLE delta.`{path}` CLUSTER BY ({named})")


def bytes_to_compact(spark: SparkSession, path: str) -> int:
    """How much `compact` would rewrite: small files, or in a clustered table those that were never sorted."""
    files = DataFrame(_snapshot(spark, path).allFiles().toDF(), spark)
    if layout(spark, path).clustered:
        waiting = files.where("clusteringProvider is null")
    else:
        # a small file that is alone in its partition stays as it is
        small = files.where(f"size < {WHOLE_FILE}").selectExpr("to_json(partitionValues) as place", "size")
        waiting = small.groupBy("place").agg(F.sum("size").alias("size"), F.count("size").alias("n")).where("n > 1")
    (row,) = waiting.selectExpr("sum(size) as bytes").collect()
    return row["bytes"] or 0


def compact(spark: SparkSession, path: str) -> None:
    """Make few files of many small ones, sorted if the table is clustered; a commit that changes no data."""
    DeltaTable.forPath(_aside(spark), path).optimize().executeCompaction()


def checkpoint(spark: SparkSession, path: str, *, every: int) -> None:
    """Write a checkpoint of the log if there are as many commits since the last one."""
    log, snapshot = _log(spark, path), _snapshot(spark, path)
    if snapshot.version() - snapshot.logSegment().checkpointProvider().version() >= every:
        log.checkpoint(snapshot, spark._jvm.scala.Option.empty())  # type: ignore[union-attr]


def spreads_at(spark: SparkSession, path: str, version: int, *, column: str) -> list[tuple[datetime, datetime]] | None:
    """The least and the greatest instant of a column in each file that one version added; None if a file does not say.

    By the files' statistics, which know milliseconds.
    """
    known = [
        json.loads(action["add"].get("stats") or "{}") for action in _actions(spark, path, version) if "add" in action
    ]
    try:
        texts = [(file["minValues"][column], file["maxValues"][column]) for file in known]
    except KeyError:
        return None
    return [
        (datetime.fromisoformat(low).astimezone(UTC), datetime.fromisoformat(high).astimezone(UTC))
        for low, high in texts
    ]


def _aside(spark: SparkSession) -> SparkSession:
    """A session for upkeep, whose settings no query of the job's own session sees."""
    aside = spark.newSession()
    for setting, value in _ASIDE.items():
        aside.conf.set(setting, value)
    return aside


def _snapshot(spark: SparkSession, path: str) -> Any:
    """The newest version. Whether it still is the one known last costs two looks; Delta lists its whole log for it."""
    log = _log(spark, path)
    known = log.unsafeVolatileSnapshot()
    none: Any = spark._jvm.scala.Option.empty()  # type: ignore[union-attr]
    return known if _is_newest(spark, log, known) else log.update(False, none, none)


def _version(snapshot: Any) -> Version | None:
    if snapshot.version() < 0:
        return None
    return Version(number=int(snapshot.version()), table_id=str(snapshot.metadata().id()))


def _snapshot_at(spark: SparkSession, path: str, version: int) -> Any:
    none: Any = spark._jvm.scala.Option.empty()  # type: ignore[union-attr]
    return _log(spark, path).getSnapshotAt(version, none, none, False)


def _is_newest(spark: SparkSession, log: Any, snapshot: Any) -> bool:
    """Whether the log ends with the snapshot's own commit: its file is the same, and none follows it."""
    if snapshot.version() < 0 or snapshot.tableCommitCoordinatorClientOpt().isDefined():
        return False
    jvm: Any = spark._jvm
    names, folder = jvm.org.apache.spark.sql.delta.util.FileNames, log.logPath()
    files = folder.getFileSystem(log.newDeltaHadoopConf())
    if files.exists(names.unsafeDeltaFile(folder, snapshot.version() + 1)):
        return False
    try:
        own = files.getFileStatus(names.unsafeDeltaFile(folder, snapshot.version()))
    except Py4JJavaError as error:
        if error.java_exception.getClass().getSimpleName() != "FileNotFoundException":
            raise
        return False
    return bool(own.getModificationTime() == snapshot.logSegment().lastCommitFileModificationTimestamp())


def _log(spark: SparkSession, path: str) -> Any:
    jvm: Any = spark._jvm
    return jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path)


def _transactions(spark: SparkSession, snapshot: Any) -> dict[str, int]:
    """Transaction id -> its greatest version, of the snapshot's checksum file where there is one.

    Delta itself would run jobs over its whole log for them, half a CPU second for each commit of a stream.
    """
    if snapshot.version() < 0:
        return {}
    checksum = snapshot.checksumOpt()
    known = checksum.get().setTransactions() if checksum.isDefined() else checksum
    if known.isDefined():
        return {str(one.appId()): int(one.version()) for one in _as_java(spark, known.get())}
    return {str(app_id): int(version) for app_id, version in _as_java(spark, snapshot.transactions()).items()}


def _written(spark: SparkSession, transaction: Any, actions: Any) -> Written:
    adds = [(one, said["add"]) for one in _as_java(spark, actions) if "add" in (said := json.loads(one.json()))]

    def read() -> DataFrame:
        jvm: Any = spark._jvm
        log, some, nothing = transaction.deltaLog(), jvm.scala.Option.apply, jvm.scala.Option.empty()
        # a table that is not there yet has no snapshot, and one that gets new columns another
        there = jvm.org.apache.spark.sql.delta.DummySnapshot(
            log.logPath(), log, transaction.metadata(), nothing, some(transaction.protocol())
        )
        files = jvm.org.apache.spark.api.python.PythonUtils.toSeq([one for one, _ in adds])
        return DataFrame(log.createDataFrame(there, files, False, nothing), spark)

    return Written(statistics=tuple(json.loads(add.get("stats") or "{}") for _, add in adds), read=read)


def _as_java(spark: SparkSession, collection: Any) -> Any:
    jvm: Any = spark._jvm
    return jvm.scala.jdk.javaapi.CollectionConverters.asJava(collection)


def _write(frame: DataFrame, writer: Any, path: str, metadata: str) -> int | None:
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
    return None


def _check_never_skipped(spark: SparkSession) -> None:
    for setting in IDEMPOTENT:
        if spark.conf.get(setting, None) is not None:
            raise errors.skipping_session(setting)


def _condition(error: AnalysisException | Py4JJavaError) -> str:
    if isinstance(error, AnalysisException):
        return error.getCondition() or "unreadable"
    return str(error.java_exception.getClass().getSimpleName())
