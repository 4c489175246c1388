"""Strict JSON: a record becomes its declared columns, or says why not.

Spark's `from_json` reads a second object, a repeated key, 1e400 or bad UTF-8 without a word; here each of them is
told apart. `__parse` is null or the reason why the record is no JSON object of ours; `__bad` lists the declared
columns whose value had another JSON type. A function of the JVM does it (`jvm/java/json`): no Python worker.
"""

from urllib.parse import quote

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from spark_scoring.jvm.functions import CATALOG, ready
from spark_scoring.spec.job import Topic

POWERS = {"s": 6, "ms": 3, "us": 0}


def parsed(spark: SparkSession, value: Column, schema: T.StructType, topic: Topic) -> Column:
    """Bytes -> struct of the columns of `schema`, then `__parse string` and `__bad array<string>`."""
    ready(spark)
    power = POWERS.get(topic.time_unit or "", -1)
    text = f"{power}/{topic.unknown}/{quote(schema.json(), safe='')}"
    return F.call_function(f"{CATALOG}.`parse_json:{text}`", value)
