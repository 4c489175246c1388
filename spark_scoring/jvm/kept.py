"""Rows that every task holds, found by their key: sent out once, where a join would send them with each plan."""

from collections.abc import Iterable
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from spark_scoring.jvm.functions import call, call_static

# what a key can be made of; arrays and structs are left to joins
_PARTS = (
    "string", "boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal", "binary", "date",
    "timestamp", "timestamp_ntz",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class KeptRows:
    """The rows of a frame whose first columns are their key, with no key null and none twice."""

    spark: SparkSession
    name: str

    @staticmethod
    def of(frame: DataFrame) -> "KeptRows":
        """Run the frame, and send its rows to the tasks that will ask for one."""
        spark = frame.sparkSession
        return KeptRows(spark=spark, name=str(call_static(spark, "KeptRow", "send", frame._jdf)))

    def row(self, *key: str) -> str:
        """The row that has this key, null where there is none; as SQL."""
        return call("kept_row", self.name, f"struct({', '.join(key)})")

    def give_up(self) -> None:
        """Free them; a query that is running can go on, none can be planned anew."""
        call_static(self.spark, "KeptRow", "giveUp", self.name)


def can_be_key(types: Iterable[str]) -> bool:
    """Whether rows can be kept by keys of these types, as `DataFrame.dtypes` names them."""
    return all(name.partition("(")[0] in _PARTS for name in types)
