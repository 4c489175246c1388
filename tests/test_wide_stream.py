"""The same definition on streams of files and of Kafka and on a frame, and on nights when clocks change."""

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from oracle import World
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
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
from spark_scoring.testing import KafkaBroker, Record, produce

Run = Callable[[WideTable, DataFrame, Mapping[str, DataFrame]], DataFrame]


def run_to_its_end(result: DataFrame, *, folder: Path) -> int:
    """The number of micro-batches that had rows; a second run goes on where the first one ended."""
    places = {"path": f"{folder}/out", "checkpointLocation": f"{folder}/checkpoint"}
    writer = result.writeStream.outputMode("append").format("parquet").options(**places)
    query = writer.trigger(availableNow=True).start()
    query.awaitTermination()
    return len([each for each in query.recentProgress if each.numInputRows > 0])


def over_files(dice: random.Random, folder: Path) -> Run:
    """`wide.transform` on a stream of the frame's files: one file of any length a micro-batch."""

    def run(wide: WideTable, rows: DataFrame, tables: Mapping[str, DataFrame]) -> DataFrame:
        parts = rows.randomSplit([dice.random() + 0.05 for _ in range(3)], seed=dice.randrange(99))
        for part in parts:
            part.coalesce(1).write.mode("append").parquet(f"{folder}/rows")
        spark = rows.sparkSession
        stream = spark.readStream.schema(rows.schema).option("maxFilesPerTrigger", 1).parquet(f"{folder}/rows")
        assert run_to_its_end(wide.transform(stream, tables), folder=folder) == 3
        return spark.read.parquet(f"{folder}/out")

    return run


def over_kafka(dice: random.Random, folder: Path, broker: KafkaBroker) -> Run:
    """`wide.transform` on a topic of three partitions: filled twice, read in micro-batches of any length."""
    topic = f"rows_{uuid.uuid4().hex[:8]}"

    def read(rows: DataFrame, *, at_most: int) -> DataFrame:
        options = {"kafka.bootstrap.servers": broker.servers, "subscribe": topic, "startingOffsets": "earliest"}
        stream = rows.sparkSession.readStream.format("kafka").options(**options, maxOffsetsPerTrigger=at_most).load()
        kinds = ", ".join(f"{name} {'bigint' if kind == 'timestamp' else kind}" for name, kind in rows.dtypes)
        fields = stream.select(F.from_json(F.col("value").cast("string"), kinds).alias("row")).select("row.*")
        return fields.withColumn("at", F.timestamp_micros("at"))

    def run(wide: WideTable, rows: DataFrame, tables: Mapping[str, DataFrame]) -> DataFrame:
        broker.create_topic(topic, partitions=3)
        plain = rows.withColumn("at", F.unix_micros("at"))
        texts = [row["text"] for row in plain.select(F.to_json(F.struct("*")).alias("text")).collect()]
        records = [Record(None, text.encode(), partition=dice.randrange(3)) for text in texts]
        cut, batches = dice.randrange(1, len(records)), 0
        for part in (records[:cut], records[cut:]):
            produce(broker.servers, topic, part)
            stream = read(rows, at_most=dice.randrange(len(part) // 3 + 1, len(part) + 2))
            batches += run_to_its_end(wide.transform(stream, tables), folder=folder)
        assert batches >= 2
        return rows.sparkSession.read.parquet(f"{folder}/out")

    return run


@pytest.fixture(params=["batch", "files", "kafka"])
def mode(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """`wide.transform` on the frame itself, or on one of two streams of its rows, cut in any way."""
    dice = random.Random(request.node.callspec.params["seed"])
    if request.param == "batch":
        return WideTable.transform
    if request.param == "files":
        return over_files(dice, tmp_path)
    return over_kafka(dice, tmp_path, request.getfixturevalue("broker"))


@pytest.mark.parametrize("seed", [5])
def test_a_stream_gives_the_rows_that_a_frame_gives(spark: SparkSession, seed: int, mode: Run) -> None:
    dice = Dice(seed)
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
