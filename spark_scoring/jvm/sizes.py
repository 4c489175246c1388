"""How large a frame is, told without a job."""

import json
from dataclasses import dataclass
from typing import Any

from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame

# what Spark assumes of a frame it knows nothing of is more than this
UNKNOWN_BYTES = 2**60
_FILES = "org.apache.spark.sql.execution.datasources.HadoopFsRelation"
_LISTED = "org.apache.spark.sql.execution.datasources.InMemoryFileIndex"
_DELTA = "org.apache.spark.sql.delta"


@dataclass(frozen=True, kw_only=True)
class PlanSize:
    """Bytes in files or memory, and in how many files they are; None if nobody knows."""

    bytes: int | None
    files: int | None


def plan_size(frame: DataFrame) -> PlanSize:
    """The size of what the frame reads, before anything is optimised.

    Of one Delta table it is the size in its checksum file: to ask Delta itself would make it run jobs over its log.
    """
    jdf: Any = frame._jdf
    plan = jdf.queryExecution().analyzed()
    leaves = plan.collectLeaves()
    leaf: Any = leaves.head() if leaves.size() == 1 else None
    location: Any = None if leaf is None else _location(frame, leaf)
    if location is not None and (whole := _delta_size(frame, location)) is not None:
        # by their widths, as Spark does it for the columns that are left of a file's
        size = int(whole["tableSizeBytes"]) * int(plan.schema().defaultSize()) // int(leaf.schema().defaultSize())
        return PlanSize(bytes=size, files=int(whole["numFiles"]))
    size = int(str(plan.stats().sizeInBytes()))
    listed = location is not None and str(location.getClass().getName()) == _LISTED
    return PlanSize(
        bytes=None if size >= UNKNOWN_BYTES else size, files=int(location.allFiles().size()) if listed else None
    )


def _location(frame: DataFrame, leaf: Any) -> Any:
    """Where the files of a relation are; None if it has none."""
    gateway = frame.sparkSession.sparkContext._gateway
    has_files = leaf.nodeName() == "LogicalRelation" and is_instance_of(gateway, leaf.relation(), _FILES)
    return leaf.relation().location() if has_files else None


def _delta_size(frame: DataFrame, location: Any) -> dict[str, Any] | None:
    """What Delta wrote about the version of a table; None for another one."""
    jvm: Any = frame.sparkSession._jvm
    if not str(location.getClass().getName()).startswith(_DELTA):
        return None
    log, version = location.deltaLog(), location.snapshotAtAnalysis().version()
    file = jvm.org.apache.spark.sql.delta.util.FileNames.checksumFile(log.logPath(), version)
    try:
        lines = log.store().read(file, log.newDeltaHadoopConf())
    except Py4JJavaError:
        # no checksum was written with this version: then Delta counts
        return None
    found: dict[str, Any] = json.loads(lines.mkString())
    return found
