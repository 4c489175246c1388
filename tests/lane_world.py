"""A job on the real-time lane: its tables have no feeds, and its batches are short."""

from collections.abc import Mapping
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


def lane_world(
    spark: SparkSession, folder: Path, broker: KafkaBroker, *, partitions: int = 1,
    scores: Mapping[str, str] | None = None, **more: Any,
) -> World:  # fmt: skip
    """A world with topics of its own; one partition, as the suite's session has two task slots.

    `scores`: settings of the topic of scores.
    """
    topic = f"scores_{abs(hash(str(folder))):x}"
    world = make_world(spark, folder, servers=broker.servers, **{**lane_changes(folder, topic=topic), **more})
    broker.create_topic(f"{world.job.name}_flights", partitions=partitions)
    broker.create_topic(topic, partitions=partitions, settings=scores)
    return world
