"""How a step's table comes to the rows: sent to every task whole, or both sides shuffled by key."""

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from spark_scoring.jvm.sizes import plan_bytes
from spark_scoring.spec.wide import AsOf, Lookup, Window

BROADCAST, SHUFFLE = "broadcast", "shuffle"
KIB = 1024
BROADCAST_BYTES = 64 * KIB**2
_THRESHOLD = "spark.sql.autoBroadcastJoinThreshold"


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """`broadcast` or `shuffle`, and why."""

    name: str
    why: str

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
    if step.strategy:
        return Strategy(name=step.strategy, why="the step says so")
    size = plan_bytes(table)
    if size is None:
        return Strategy(name=SHUFFLE, why="nobody knows the table's size")
    if limit < 0:
        return Strategy(name=SHUFFLE, why=f"{_THRESHOLD} is {limit}")
    most = max(limit, BROADCAST_BYTES)
    if size <= most:
        return Strategy(name=BROADCAST, why=f"{size_text(size)} is at most {size_text(most)}")
    return Strategy(name=SHUFFLE, why=f"{size_text(size)} is more than {size_text(most)}")


def size_text(size: int) -> str:
    """A number of bytes as one reads it: `1.2 KiB`, `64.0 MiB`."""
    units = ("KiB", "MiB", "GiB", "TiB")
    power = next((i for i in range(len(units)) if size < KIB ** (i + 2)), len(units) - 1)
    return f"{size / KIB ** (power + 1):.1f} {units[power]}"
