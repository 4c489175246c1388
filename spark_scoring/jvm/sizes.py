"""How large a frame is, told without a job."""

import json
from typing import Any

from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame

# what Spark assumes of a frame it knows nothing of is more than this
UNKNOWN_BYTES = 2**60
_FILES = "org.apache.spark.sql.execution.datasources.HadoopFsRelation"
_DELTA = "org.apache.spark.sql.delta"


def plan_bytes(frame: DataFrame) -> int | None:
    """The size in files or memory of what the frame reads, before anything is optimised; None if nobody knows.

    Of one Delta table it is the size in its checksum file: to ask Delta itself would make it run jobs over its log.
    """
    jdf: Any = frame._jdf
    plan = jdf.queryExecution().analyzed()
    leaves = plan.collectLeaves()
    leaf = leaves.head() if leaves.size() == 1 else None
    if leaf is not None and (size := _delta_bytes(frame, leaf)) is not None:
        # by their widths, as Spark does it for the columns that are left of a file's
        return size * int(plan.schema().defaultSize()) // int(leaf.schema().defaultSize())
    size = int(str(plan.stats().sizeInBytes()))
    return None if size >= UNKNOWN_BYTES else size


def _delta_bytes(frame: DataFrame, leaf: Any) -> int | None:
    jvm: Any = frame.sparkSession._jvm
    if leaf.nodeName() != "LogicalRelation" or not is_instance_of(
        frame.sparkSession.sparkContext._gateway, leaf.relation(), _FILES
    ):
        return None
    location = leaf.relation().location()
    if not str(location.getClass().getName()).startswith(_DELTA):
        return None
    log, version = location.deltaLog(), location.snapshotAtAnalysis().version()
    file = jvm.org.apache.spark.sql.delta.util.FileNames.checksumFile(log.logPath(), version)
    try:
        lines = log.store().read(file, log.newDeltaHadoopConf())
    except Py4JJavaError:
        # no checksum was written with this version: then Delta counts
        return None
    return int(json.loads(lines.mkString())["tableSizeBytes"])
