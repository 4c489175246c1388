"""What rows reach: nothing that they need is left out, and of a large table only the files that they need are read."""

from pathlib import Path
from typing import Any

import pytest
from delta import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from world import WIDE, make_world, newest_job

from spark_scoring import WideTable
from spark_scoring.jvm.functions import ready
from spark_scoring.run.reach import MOST_KEYS, reach_of
from spark_scoring.wide import transform

MAPPING: dict[str, Any] = {
    "name": "few",
    "rows": {"key": ["id"], "time": "at", "columns": {"id": "bigint", "k": "string", "at": "timestamp not null"}},
    "tables": {
        "prices": {"time": "seen", "columns": {"k": "string", "seen": "timestamp", "x": "double"}},
        "names": {"columns": {"k": "string", "x": "double"}},
    },
    "steps": [
        {"as_of": "prices", "on": ["k"], "take": {"price": "x"}},
        {"window": "prices", "on": ["k"], "last": "1h", "take": {"n": "count(*)", "total": "sum(x)"}},
        {"lookup": "names", "on": ["k"], "take": {"name": "x"}},
    ],
}


def rows_of(spark: SparkSession, *, keys: int, first: int = 0, minutes: int = 90) -> DataFrame:
    """One row for each key, an hour and a half into the history."""
    at = F.timestamp_micros(F.lit(minutes * 60_000_000))
    return spark.range(first, first + keys).select("id", F.concat(F.lit("k"), "id").alias("k"), at.alias("at"))


def history(spark: SparkSession, *, keys: int) -> DataFrame:
    """A value each minute of three hours for each key."""
    minutes = spark.range(180).select(F.col("id").alias("minute"))
    named = spark.range(keys).select(F.concat(F.lit("k"), "id").alias("k"))
    seen = F.timestamp_micros(F.col("minute") * 60_000_000)
    return named.crossJoin(minutes).select("k", seen.alias("seen"), (F.col("minute") / 7).alias("x"))


def test_times_and_keys_of_the_rows_of_a_world(spark: SparkSession, tmp_path: Path) -> None:
    world = make_world(spark, tmp_path)
    rows = spark.read.format("delta").load(world.table("flights"))

    reach = reach_of(rows, WideTable.unpack(WIDE))

    known = {name: {row[name] for row in rows.select(name).collect()} - {None} for name in ("tail", "origin")}
    assert {name: set(values) for name, values in reach.keys.items()} == known


def test_many_keys_are_no_reach(spark: SparkSession) -> None:
    wide = WideTable.unpack(MAPPING)

    for are_few in (True, False):
        given = [rows_of(spark, keys=keys) for keys in (MOST_KEYS, MOST_KEYS + 1, 5 * MOST_KEYS)]
        assert [set(reach_of(rows, wide, are_few=are_few).keys) for rows in given] == [{"k"}, set(), set()]


def test_keys_that_do_not_fit_into_one_row_are_not_collected(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, asked = rows_of(spark, keys=5 * MOST_KEYS), ""

    def select(frame: DataFrame, *texts: str) -> DataFrame:
        nonlocal asked
        asked += " ".join(texts)
        return select_expr(frame, *texts)

    select_expr = type(rows).selectExpr
    monkeypatch.setattr(type(rows), "selectExpr", select)
    reach_of(rows, WideTable.unpack(MAPPING))
    assert "max(" in asked and "collect_set" not in asked


def test_reading_only_what_is_reached_changes_nothing_and_skips_files(spark: SparkSession, tmp_path: Path) -> None:
    wide, rows = WideTable.unpack(MAPPING), rows_of(spark, keys=3)
    prices = history(spark, keys=40).repartitionByRange(20, "k", "seen")
    prices.write.format("delta").save(str(tmp_path / "prices"))
    tables = {
        "prices": spark.read.format("delta").load(str(tmp_path / "prices")),
        "names": prices.groupBy("k").agg(F.max("x").alias("x")),
    }
    reach = reach_of(rows, wide)

    found = transform(wide, rows, tables, within=reach.times, keys=reach.keys)

    everything = transform(wide, rows, tables).orderBy("id").collect()
    assert found.orderBy("id").collect() == everything
    assert [row["n"] for row in everything] == [60, 60, 60]
    assert len(set(transform(wide, rows, tables).inputFiles())) == 20
    assert len(set(found.inputFiles())) < 10


def test_a_plan_over_delta_tables_that_were_just_loaded_runs_no_job(spark: SparkSession, tmp_path: Path) -> None:
    made = {"prices": history(spark, keys=2), "names": history(spark, keys=1).drop("seen").limit(1)}
    for name, frame in made.items():
        frame.write.format("delta").save(str(tmp_path / name))
    # a version that nobody has asked for yet
    history(spark, keys=2).write.format("delta").mode("append").save(str(tmp_path / "prices"))
    DeltaTable.forPath(spark, str(tmp_path / "prices")).delete("k = 'k1'")
    tables = {name: spark.read.format("delta").load(str(tmp_path / name)) for name in ("prices", "names")}
    ready(spark)
    rows = rows_of(spark, keys=2)
    before = newest_job(spark)

    transform(WideTable.unpack(MAPPING), rows, tables)

    assert newest_job(spark) == before


def test_micro_batches_of_the_same_ten_minutes_share_their_code(spark: SparkSession, tmp_path: Path) -> None:
    wide, prices = WideTable.unpack(MAPPING), str(tmp_path / "prices")
    history(spark, keys=40).write.format("delta").save(prices)
    tables = {
        "prices": spark.read.format("delta").load(prices),
        "names": spark.read.format("delta").load(prices).groupBy("k").agg(F.max("x").alias("x")),
    }
    compiled: Any = spark._jvm.org.apache.spark.metrics.source.CodegenMetrics.METRIC_COMPILATION_TIME()  # type: ignore[union-attr]

    def given(at: int, first: int) -> DataFrame:
        path = str(tmp_path / f"rows{at}")
        rows_of(spark, keys=3, first=first, minutes=at).write.format("parquet").save(path)
        return spark.read.parquet(path)

    def classes_after(rows: DataFrame) -> int:
        reach = reach_of(rows, wide)
        found = transform(wide, rows, tables, within=reach.times, keys=reach.keys).collect()
        assert [row["n"] for row in found] == [60] * 3
        return int(compiled.getCount())

    batches = [given(at, at - 90) for at in (90, 91, 92, 93, 101)]
    counts = [classes_after(rows) for rows in batches]
    assert counts[-3] == counts[-2] < counts[-1], counts


def test_bounds_do_not_leave_the_time_range(spark: SparkSession) -> None:
    given = {**MAPPING, "rows": {**MAPPING["rows"], "time_range": ["1970-01-01T01:31:00Z", "1970-01-01T01:33:00Z"]}}
    wide = WideTable.unpack(given)

    assert reach_of(rows_of(spark, keys=3, minutes=92), wide).times == wide.rows.time_range


@pytest.mark.parametrize("given", [False, True])
def test_only_a_time_range_that_somebody_gave_is_looked_for_in_files(
    spark: SparkSession, tmp_path: Path, given: bool
) -> None:
    history(spark, keys=2).write.parquet(str(tmp_path / "prices"))
    mapping = {**MAPPING, "steps": MAPPING["steps"][:2]}
    if given:
        mapping["rows"] = {**MAPPING["rows"], "time_range": ["1970-01-01", "2000-01-01"]}

    found = transform(
        WideTable.unpack(mapping), rows_of(spark, keys=2), {"prices": spark.read.parquet(str(tmp_path / "prices"))}
    )

    # Parquet reads a column's whole dictionary for a bound that its least and greatest value do not decide
    plan = str(found._jdf.queryExecution().executedPlan())
    assert ("LessThan(seen" in plan, "GreaterThanOrEqual(seen" in plan) == (given, given)
    assert [row["n"] for row in found.collect()] == [60, 60]
