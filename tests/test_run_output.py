"""Output rows with the commit that they belong to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring.run import output
from spark_scoring.spec.plan import Interval, Plan

CLOCK = datetime(2026, 3, 29, 0, 59, 59, 123456, tzinfo=UTC)
PLAN = Plan(commit_id="late/one/0", clock=CLOCK, input=Interval(bounds=None, version=None), tables={}, models=())


def test_a_row_says_which_commit_it_belongs_to_and_when_it_was_made(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("scored",), ("rejected",), ("",)], "outcome string")
    for plan in (PLAN, replace(PLAN, commit_id="late/one/1", clock=CLOCK + timedelta(hours=1))):
        stamped = output.stamped(frame, plan).selectExpr("commit_id", "unix_micros(scored_at) as at")
        micros = (plan.clock - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        assert [tuple(row) for row in stamped.collect()] == [(plan.commit_id, micros)] * 3


def test_the_code_of_commits_is_compiled_for_the_first_of_them_only(spark: SparkSession) -> None:
    def write(batch: int) -> int:
        plan = replace(PLAN, commit_id=f"late/one/{batch}", clock=CLOCK + timedelta(seconds=batch))
        rows = spark.range(8).selectExpr("if(id > 3, 'scored', 'rejected') as outcome", "id * 2 as twice")
        output.stamped(rows, plan).write.format("noop").mode("overwrite").save()
        jvm: Any = spark._jvm
        return int(jvm.org.apache.spark.metrics.source.CodegenMetrics.METRIC_COMPILATION_TIME().getCount())

    first = write(0)
    assert [write(batch) for batch in (1, 2)] == [first, first]
