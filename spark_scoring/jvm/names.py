"""Names of the JVM that Python uses again and again."""

from typing import Any

from pyspark.sql import SparkSession

# roots of packages, and classes that PySpark asks for with every column and frame
_NAMES = ("java", "org", "py4j", "scala", "PythonSQLUtils", "PythonUtils", "Thread", "functions")


def remember_names(spark: SparkSession) -> None:
    """Have these names looked up once, and not again with each use.

    Py4J asks all class loaders for a root, and for whatever it may be in the packages imported: 0.6 ms, and planning a
    micro-batch asks for some 150 of them.
    """
    jvm: Any = spark._jvm
    for name in _NAMES:
        if name not in vars(jvm):
            setattr(jvm, name, getattr(jvm, name))
