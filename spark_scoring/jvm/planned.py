"""A frame that was planned over some rows, with other rows in their place."""

from dataclasses import dataclass

from pyspark.sql import DataFrame

from spark_scoring.jvm.functions import call_static


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A frame, and the rows that it was made of."""

    rows: DataFrame
    frame: DataFrame

    def over(self, others: DataFrame) -> DataFrame | None:
        """The same frame of other rows, of the same schema; None where it does not read its rows exactly once.

        It costs a few calls to the JVM, where planning it again costs some for each expression.
        """
        spark = others.sparkSession
        found = call_static(spark, "OtherRows", "replaced", self.frame._jdf, self.rows._jdf, others._jdf)
        return None if found is None else DataFrame(found, spark)
