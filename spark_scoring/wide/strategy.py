"""How a step's table comes to the rows: sent to every task whole, or both sides shuffled by key."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from spark_scoring.jvm.sizes import PlanSize, plan_size
from spark_scoring.spec.wide import AsOf, Lookup, Window

BROADCAST, SHUFFLE = "broadcast", "shuffle"
KIB = 1024
BROADCAST_BYTES = 64 * KIB**2
ONE_TASK_BYTES, ONE_TASK_FILES = 4 * KIB**2, 32
_THRESHOLD = "spark.sql.autoBroadcastJoinThreshold"


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """`broadcast` or `shuffle`, why, and how large the table is."""

    name: str
    why: str
    size: PlanSize

    def hinted(self, index: DataFrame) -> DataFrame:
        """The table's side of a join, told how to come to the rows."""
        return index.hint("broadcast" if self.name == BROADCAST else "shuffle_hash")


def broadcast_limit(spark: SparkSession) -> int:
    """The most bytes that Spark itself would broadcast; negative for never."""
    jvm: Any = spark._jvm
    text = str(spark.conf.get(_THRESHOLD, "10485760"))
    return -1 if text.startswith("-") else int(jvm.org.apache.spark.network.util.JavaUtils.byteStringAsBytes(text))


def strategy_of(step: Lookup | AsOf | Window, table: DataFrame, *, limit: int) -> Strategy:
    """What the step itself says, else broadcast for a table of up to 64 MiB, or `limit`, Spark's own threshold."""
    size = plan_size(table)
    name, why = _chosen(step, size=size.bytes, limit=limit)
    return Strategy(name=name, why=why, size=size)


def _chosen(step: Lookup | AsOf | Window, *, size: int | None, limit: int) -> tuple[str, str]:
    if step.strategy:
        return step.strategy, "the step says so"
    if size is None:
        return SHUFFLE, "nobody knows the table's size"
    if limit < 0:
        return SHUFFLE, f"{_THRESHOLD} is {limit}"
    most = max(limit, BROADCAST_BYTES)
    if size <= most:
        return BROADCAST, f"{size_text(size)} is at most {size_text(most)}"
    return SHUFFLE, f"{size_text(size)} is more than {size_text(most)}"


def in_one_task(frame: DataFrame, *, tables: Sequence[Strategy]) -> DataFrame:
    """The frame, which reads tables as these: in one task if they are so small that a shuffle would cost more."""
    sizes = [table.size for table in tables if table.name == BROADCAST]
    small = len(sizes) == len(tables) and (
        sum(ONE_TASK_BYTES if size.bytes is None else size.bytes for size in sizes) < ONE_TASK_BYTES
        and sum(ONE_TASK_FILES if size.files is None else size.files for size in sizes) < ONE_TASK_FILES
    )
    return frame.coalesce(1) if small else frame


def size_text(size: int) -> str:
    """A number of bytes as one reads it: `1.2 KiB`, `64.0 MiB`."""
    units = ("KiB", "MiB", "GiB", "TiB")
    power = next((i for i in range(len(units)) if size < KIB ** (i + 2)), len(units) - 1)
    return f"{size / KIB ** (power + 1):.1f} {units[power]}"
