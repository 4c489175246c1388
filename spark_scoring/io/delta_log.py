"""Delta's own objects, asked through the JVM: a table's log, one version of it, and what its log files say."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from spark_scoring.io.files import read_text


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of a table, and the id that it has for its life: what is deleted and made anew has another."""

    number: int
    table_id: str

    def follows(self, before: "Version") -> bool:
        """Whether it is of the same table, and not older: of a copy that was put back Delta keeps the id."""
        return self.table_id == before.table_id and self.number >= before.number

    @staticmethod
    def of(snapshot: Any) -> "Version | None":
        """The snapshot's; None of a table that is not there yet."""
        if snapshot.version() < 0:
            return None
        return Version(number=int(snapshot.version()), table_id=str(snapshot.metadata().id()))


def of(spark: SparkSession, path: str) -> Any:
    """Delta's log of the table, with the snapshot that it knows."""
    jvm: Any = spark._jvm
    return jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path)


def newest(spark: SparkSession, path: str) -> Any:
    """The newest version. Whether it still is the one known last costs two looks; Delta lists its whole log for it."""
    log = of(spark, path)
    known = log.unsafeVolatileSnapshot()
    none: Any = spark._jvm.scala.Option.empty()  # type: ignore[union-attr]
    return known if _is_newest(spark, log, known) else log.update(False, none, none)


def at(spark: SparkSession, path: str, version: int) -> Any:
    """The table as it was at that version."""
    none: Any = spark._jvm.scala.Option.empty()  # type: ignore[union-attr]
    return of(spark, path).getSnapshotAt(version, none, none, False)


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


def transactions(spark: SparkSession, snapshot: Any) -> dict[str, int]:
    """Transaction id -> its greatest version, of the snapshot's checksum file where there is one.

    Delta itself would run jobs over its whole log for them, half a CPU second for each commit of a stream.
    """
    if snapshot.version() < 0:
        return {}
    checksum = snapshot.checksumOpt()
    known = checksum.get().setTransactions() if checksum.isDefined() else checksum
    if known.isDefined():
        return {str(one.appId()): int(one.version()) for one in as_java(spark, known.get())}
    return {str(app_id): int(version) for app_id, version in as_java(spark, snapshot.transactions()).items()}


def actions(spark: SparkSession, path: str, version: int) -> Iterator[dict[str, Any]]:
    """What one version did, straight from its log file; nothing where that is gone."""
    text = read_text(spark, f"{path}/_delta_log/{version:020d}.json")
    return map(json.loads, (text or "").splitlines())


def as_java(spark: SparkSession, collection: Any) -> Any:
    """A Scala collection as one that Python can walk through."""
    jvm: Any = spark._jvm
    return jvm.scala.jdk.javaapi.CollectionConverters.asJava(collection)
