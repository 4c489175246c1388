"""The same definition on a stream and on a frame, and on nights when clocks change."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from oracle import World
from pyspark.sql import DataFrame, SparkSession
from wide_cases import (
    SECOND,
    Dice,
    collected,
    expected,
    frame,
    frames_of,
    same,
    transformed,
    types_of,
    world_of,
)
from wide_world import dice_rows, dice_world

from spark_scoring.spec.wide import WideTable

Run = Callable[[WideTable, DataFrame, Mapping[str, DataFrame]], DataFrame]


@pytest.fixture(params=["batch", "stream"])
def mode(request: pytest.FixtureRequest, spark: SparkSession, tmp_path: Path) -> Run:
    """`wide.transform` on the frame itself, or on a stream of the frame's files, one file a micro-batch."""

    def stream(wide: WideTable, rows: DataFrame, tables: Mapping[str, DataFrame]) -> DataFrame:
        rows.repartition(3).write.parquet(f"{tmp_path}/rows")
        reader = spark.readStream.schema(rows.schema).option("maxFilesPerTrigger", 1)
        writer = wide.transform(reader.parquet(f"{tmp_path}/rows"), tables).writeStream.outputMode("append")
        places = {"path": f"{tmp_path}/out", "checkpointLocation": f"{tmp_path}/checkpoint"}
        query = writer.format("parquet").options(**places).trigger(availableNow=True).start()
        query.awaitTermination()
        assert len([each for each in query.recentProgress if each.numInputRows > 0]) == 3
        return spark.read.parquet(f"{tmp_path}/out")

    return stream if request.param == "stream" else WideTable.transform


def test_a_stream_gives_the_rows_that_a_frame_gives(spark: SparkSession, mode: Run) -> None:
    dice = Dice(5)
    world, rows = dice_world(dice), dice_rows(dice)

    result = mode(world.wide, frame(spark, rows, types_of(world.wide.rows.columns)), frames_of(spark, world))

    key = ["id", "k", "tail", "at"]
    assert same(collected(result), by=key) == same(expected(rows, world=world), by=key)


@pytest.fixture
def new_york(spark: SparkSession) -> Iterator[None]:
    """The host's clock stands in New York, for Python and for the JVM; the session stays in UTC."""
    zones, before = spark.sparkContext._jvm.java.util.TimeZone, os.environ.get("TZ")
    jvm_before = zones.getDefault()
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    zones.setDefault(zones.getTimeZone("America/New_York"))
    yield
    zones.setDefault(jvm_before)
    os.environ.pop("TZ")
    os.environ.update({"TZ": before} if before else {})
    time.tzset()


def utc(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[misc, arg-type]  # no zone in parts


NIGHT: dict[str, Any] = {
    "name": "night",
    "rows": {
        "key": ["id"],
        "time": "at",
        "columns": {"id": "bigint not null", "k": "string", "at": "timestamp not null"},
    },
    "tables": {"t": {"time": "seen", "columns": {"k": "string", "seen": "timestamp", "x": "double"}}},
    "steps": [
        {"as_of": "t", "on": ["k"], "take": ["x"], "max_age": "1h"},
        {"window": "t", "on": ["k"], "last": "2h", "take": {"n": "count(*)", "seen": "max(seen)"}},
        {"columns": {"hour": "hour(at)"}},
    ],
}


@pytest.mark.usefixtures("new_york")
@pytest.mark.parametrize("night", [(2013, 3, 10), (2013, 11, 3)])
def test_a_night_that_changes_the_clocks_is_a_night_of_instants(
    spark: SparkSession, night: tuple[int, int, int]
) -> None:
    start = utc(*night, 4)
    table = [{"k": "a", "seen": start + i * 900 * SECOND, "x": float(i)} for i in range(24)]
    rows = [{"id": i, "k": "a", "at": start + i * 600 * SECOND + i % 3 - 1} for i in range(48)]
    python = {"seen": lambda row: row["seen"], "hour(at)": lambda row: row["at"] // (3600 * SECOND) % 24}
    world: World = world_of(NIGHT, tables={"t": table}, python=python)

    found = transformed(spark, rows, world=world)

    assert same(found, by=["id"]) == same(expected(rows, world=world), by=["id"])
