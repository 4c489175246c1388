"""The real-time lane under kill -9: each acknowledged record is in the table once."""

import time
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_scoring.testing import KafkaBroker
from tests.faults.arena import BROKEN, Arena, kill_group, make_arena
from tests.lane_world import lane_changes


@pytest.fixture
def lane(spark: SparkSession, tmp_path: Path, broker: KafkaBroker) -> Arena:
    topic = f"scores_{abs(hash(str(tmp_path))):x}"
    broker.create_topic(topic, partitions=1)
    return make_arena(spark, tmp_path, broker, partitions=1, rows_a_batch=200, **lane_changes(tmp_path, topic=topic))


@pytest.mark.slow
def test_kill_9_of_all_processes_while_it_scores(lane: Arena) -> None:
    for kill in range(2):
        process = lane.start("stream")
        first = kill * 60
        until = time.monotonic() + 90
        while not lane.log("log").read_text().count("scores") > kill and time.monotonic() < until:
            time.sleep(0.5)
        for start in range(first, first + 60, 5):
            lane.send(start, start + 5, broken=BROKEN[:1])
            time.sleep(0.3)
        kill_group(process)
    lane.finished("stream", "--once")

    assert not lane.damage()
    assert lane.holds()


@pytest.mark.slow
@pytest.mark.parametrize("instant", ["before_commit", "after_commit", "lane_run_written"])
def test_kill_9_at_each_instant(lane: Arena, instant: str) -> None:
    lane.send(0, 50, broken=BROKEN)
    lane.finished("stream", "--once", code=-9, failpoint=f"{instant}:kill")
    lane.finished("stream", "--once")

    assert not lane.damage()
    assert lane.holds()
