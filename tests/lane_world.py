"""A job on the real-time lane: its tables have no feeds, and its batches are short."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring.testing import KafkaBroker
from tests.world import WIDE, World, make_world

CHANGES: dict[str, Any] = {"lane": "realtime", "trigger": {"every": "1s", "realtime": "2s"}}
BATCH = timedelta(seconds=2)


def lane_changes(folder: Path, *, topic: str = "scores") -> dict[str, Any]:
    """What makes a world's job one on the lane."""
    unfed = {name: {"delta": str(folder / name)} for name in WIDE["tables"]}
    output = {"batch": str(folder / "scores"), "stream": str(folder / "scores_stream"), "topic": topic}
    return {**CHANGES, "tables": unfed, "output": output}


def lane_world(spark: SparkSession, folder: Path, broker: KafkaBroker, *, partitions: int = 1, **more: Any) -> World:
    """A world with topics of its own; one partition, as the suite's session has two task slots."""
    topic = f"scores_{abs(hash(str(folder))):x}"
    world = make_world(spark, folder, servers=broker.servers, **{**lane_changes(folder, topic=topic), **more})
    for name in (f"{world.job.name}_flights", topic):
        broker.create_topic(name, partitions=partitions)
    return world
