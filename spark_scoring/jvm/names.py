"""Names of the JVM that Python uses again and again."""

from typing import Any

from py4j.java_gateway import JavaClass
from pyspark.sql import SparkSession

_ROOTS = ("java", "org", "py4j", "scala")
# what PySpark asks for with every column and frame
_CLASSES = ("PythonSQLUtils", "PythonUtils", "Thread", "functions")


def remember_names(spark: SparkSession) -> None:
    """Have these names looked up once, and not again with each use.

    Py4J asks all class loaders for a root, as a class of each package that is imported: 0.6 ms, and planning a
    micro-batch asks for some 150 of these names.
    """
    jvm: Any = spark._jvm
    for name in {*_ROOTS, *_CLASSES} - vars(jvm).keys():
        found = getattr(jvm, name)
        # what is not imported yet looks like a package
        if name in _ROOTS or isinstance(found, JavaClass):
            setattr(jvm, name, found)
