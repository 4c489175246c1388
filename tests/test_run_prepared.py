"""Tables prepared once per version: used again while they stand still, never after they moved."""

import shutil
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from world import WIDE, World, make_world, newest_job

from spark_scoring import WideTable
from spark_scoring.errors import RunError
from spark_scoring.run import inputs
from spark_scoring.run.prepared import AtVersions, Prepared
from spark_scoring.wide import transform

TAKEN = ("seats", "temp", "n", "mean_delay")


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path) -> World:
    return make_world(spark, tmp_path)


def wide_rows(world: World, tables: AtVersions, *, wide: WideTable | None = None) -> list[dict[str, object]]:
    rows = world.spark.read.format("delta").load(world.table("flights"))
    frame = transform(wide or WideTable.unpack(WIDE), rows, tables.frames, keeper=tables)
    return [row.asDict() for row in frame.select("id", *TAKEN).orderBy("id", *TAKEN).collect()]


def now(world: World, prepared: Prepared) -> list[dict[str, object]]:
    return wide_rows(world, prepared.at(inputs.pin_tables(world.spark, world.job, WideTable.unpack(WIDE))))


def rewrite(world: World, table: str, change: DataFrame) -> None:
    change.localCheckpoint().write.format("delta").mode("overwrite").save(world.table(table))


def test_a_table_that_stands_still_is_read_once(world: World) -> None:
    prepared = Prepared(spark=world.spark)
    first = now(world, prepared)
    for table in ("planes", "weather", "arrivals"):
        for file in Path(world.table(table)).glob("*.parquet"):
            file.unlink()

    assert now(world, prepared) == first
    prepared.close()


def test_a_second_plan_runs_no_job_and_joins_nothing(world: World) -> None:
    prepared, wide = Prepared(spark=world.spark), WideTable.unpack(WIDE)
    now(world, prepared)
    rows = world.spark.read.format("delta").load(world.table("flights"))
    before = newest_job(world.spark)

    pinned = prepared.at(inputs.pin_tables(world.spark, world.job, wide))
    frame = transform(wide, rows, pinned.frames, keeper=pinned)

    assert newest_job(world.spark) == before
    assert "Join" not in frame._jdf.queryExecution().executedPlan().toString()  # type: ignore[operator]
    prepared.close()


def test_a_table_rewritten_between_two_commits_is_seen_by_the_second(world: World) -> None:
    prepared = Prepared.of_stream(world.spark, world.job)
    before = now(world, prepared)
    for table, column in (("planes", "seats"), ("weather", "temp"), ("arrivals", "delay")):
        there = world.spark.read.format("delta").load(world.table(table))
        rewrite(world, table, there.withColumn(column, (F.col(column) + 1).cast(there.schema[column].dataType)))

    after = now(world, prepared)

    assert after == wide_rows(
        world, AtVersions.once(world.spark, inputs.pin_tables(world.spark, world.job, WideTable.unpack(WIDE)))
    )
    assert [row["seats"] for row in after] != [row["seats"] for row in before]
    assert [row["temp"] for row in after] != [row["temp"] for row in before]
    assert [row["mean_delay"] for row in after] != [row["mean_delay"] for row in before]
    prepared.close()


def test_definitions_that_differ_in_their_time_range_alone_have_an_index_each(world: World) -> None:
    prepared, wide = Prepared(spark=world.spark), WideTable.unpack(WIDE)
    early = WideTable.unpack({**WIDE, "rows": {**WIDE["rows"], "time_range": ["2000-01-01", "2013-09-01T06:00:00Z"]}})
    pinned = inputs.pin_tables(world.spark, world.job, wide)
    wide_rows(world, prepared.at(pinned), wide=early)

    assert wide_rows(world, prepared.at(pinned)) == wide_rows(world, AtVersions.once(world.spark, pinned))
    prepared.close()


def test_a_table_made_anew_at_the_same_version_is_another(world: World) -> None:
    prepared = Prepared(spark=world.spark)
    before = now(world, prepared)
    planes = world.spark.read.format("delta").load(world.table("planes")).localCheckpoint()
    old = inputs.pin_tables(world.spark, world.job, WideTable.unpack(WIDE))
    shutil.rmtree(world.table("planes"))
    planes.withColumn("seats", F.col("seats") + 1000).write.format("delta").save(world.table("planes"))

    after = now(world, prepared)
    assert [row["seats"] for row in after] == [row["seats"] and row["seats"] + 1000 for row in before]
    with pytest.raises(RunError, match="made anew"):
        prepared.at(old)
    prepared.close()


def test_an_older_version_is_that_version_while_a_newer_one_is_kept(world: World) -> None:
    prepared, wide = Prepared(spark=world.spark), WideTable.unpack(WIDE)
    old = inputs.pin_tables(world.spark, world.job, wide)
    before = wide_rows(world, prepared.at(old))
    planes = world.spark.read.format("delta").load(world.table("planes"))
    rewrite(world, "planes", planes.withColumn("seats", F.lit(7)))
    assert {row["seats"] for row in now(world, prepared)} <= {7, None}

    assert wide_rows(world, AtVersions.once(world.spark, old)) == before
    assert wide_rows(world, prepared.at(old)) == before
    prepared.close()


def test_the_reach_of_the_rows_is_needed_for_fed_and_large_tables_alone(world: World) -> None:
    wide = WideTable.unpack(WIDE)
    tables = inputs.pin_tables(world.spark, world.job, wide)

    def needed(prepared: Prepared) -> bool:
        return prepared.needs_reach(wide, prepared.at(tables))

    found = [needed(Prepared(spark=world.spark)), needed(Prepared.of_stream(world.spark, world.job))]
    world.spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")
    try:
        found.append(needed(Prepared(spark=world.spark)))
    finally:
        world.spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")

    assert found == [False, True, True]


def test_nothing_is_kept_of_a_fed_table_or_after_closing(world: World) -> None:
    cached = world.spark._jsparkSession.sharedState().cacheManager()
    empty = cached.isEmpty()
    prepared = Prepared.of_stream(world.spark, world.job)
    now(world, prepared)
    kept = {name for name in ("planes", "weather", "arrivals") for what in prepared._indexes if name in what}
    prepared.close()

    assert (kept, cached.isEmpty()) == ({"planes", "weather"}, empty)
