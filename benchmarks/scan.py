"""How many files of Delta tables the last query read, from Spark's own metrics."""

from typing import Any

from pyspark.sql import SparkSession

METRIC = "number of files read"


def files_read(spark: SparkSession) -> int:
    """The files of all Delta scans of the newest query that has such a scan."""
    spark.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()
    status = spark._jsparkSession.sharedState().statusStore()
    # Delta runs queries of its own over its log, and they can begin later than the one that is asked about
    queries = sorted((each.executionId() for each in _each(status.executionsList())), reverse=True)
    counts = (_of_query(status, query=query) for query in queries)
    return next((sum(found) for found in counts if found), 0)


def _of_query(status: Any, *, query: int) -> list[int]:
    values = status.executionMetrics(query)
    nodes = [node for node in _each(status.planGraph(query).allNodes()) if "DeltaFileIndex" in node.desc()]
    ids = [metric.accumulatorId() for node in nodes for metric in _each(node.metrics()) if metric.name() == METRIC]
    return [int(values.apply(known).replace(",", "")) for known in ids if values.contains(known)]


def _each(sequence: Any) -> list[Any]:
    """The elements of a Scala sequence."""
    found, iterator = [], sequence.iterator()
    while iterator.hasNext():
        found.append(iterator.next())
    return found
