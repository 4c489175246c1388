"""The stream and a batch run as users run them: processes of their own, ended by signals and started again."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from spark_scoring.run import runs
from spark_scoring.run.runs import Span
from spark_scoring.testing import KafkaBroker
from spark_scoring.watch import verify
from tests.marks import slow
from tests.world import DAY, World, flights, job_mapping, make_world, record, send

SUBMIT = Path(__file__).resolve().parents[1] / "spark-submit.sh"
CLI = (sys.executable, "-m", "spark_scoring.cli")
OUR_LINES = r"\S+: \d+ scored, \d+ rejected.*|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO \S+: .*"


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True], ids=["as Kubernetes", "as systemd and Airflow"])
def test_sigterm_ends_it_in_order_and_the_next_start_continues(
    spark: SparkSession, tmp_path: Path, broker: KafkaBroker, whole_group: bool
) -> None:
    world = make_world(spark, tmp_path, servers=broker.servers)
    for kind in ("flights", "arrivals"):
        broker.create_topic(f"{world.job.name}_{kind}", partitions=2)
    send(broker, f"{world.job.name}_flights", [record(row) for row in flights()])
    job = job_file(world, broker)

    log = tmp_path / "first.log"
    first = start(SUBMIT, "stream", job, log=log)
    wait_for(lambda: " scored, " in log.read_text() or first.poll() is not None)
    (os.killpg if whole_group else os.kill)(first.pid, signal.SIGTERM)
    assert first.wait(timeout=120) == 0, log.read_text()
    wait_for(lambda: not group(first.pid))
    done = len(world.output("stream"))
    assert 0 < done < 60 and verify.verify_stream(spark, world.job).holds
    assert_only_our_lines(log)

    log = tmp_path / "second.log"
    assert start(SUBMIT, "stream", job, "--once", log=log).wait(timeout=300) == 0, log.read_text()
    verdict = verify.verify_stream(spark, world.job)
    assert verdict.holds and len(world.output("stream")) == 60
    assert {commit_id.split("/")[1] for commit_id in commit_ids(world)} == {commit_ids(world)[0].split("/")[1]}
    assert_only_our_lines(log)


@pytest.mark.parametrize(
    ("number", "whole_group", "said"),
    [(signal.SIGTERM, False, "stopped by SIGTERM"), slow(signal.SIGINT, True, "interrupted")],
)
def test_a_batch_run_ends_at_once_says_so_and_is_resumed(
    spark: SparkSession, tmp_path: Path, number: signal.Signals, whole_group: bool, said: str
) -> None:
    world = make_world(spark, tmp_path)
    mapping = job_mapping(world.folder, name=world.job.name, servers="127.0.0.1:1")
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({**mapping, "registry": world.job.registry}))
    log = tmp_path / "log"
    words = ("score", tmp_path / "job.yaml", "--from", "2013-09-01", "--to", "2013-09-03", "--cut", "1h")
    process = start(*CLI, *words, log=log)
    try:
        second = tmp_path / "scores/_delta_log/00000000000000000001.json"
        wait_for(lambda: second.exists() or process.poll() is not None)
        (os.killpg if whole_group else os.kill)(process.pid, number)
        assert process.wait(timeout=120) == 1, log.read_text()
        wait_for(lambda: not group(process.pid))
    finally:
        process.kill()
    lines = [line for line in log.read_text().splitlines() if line and not line.startswith("score ")]
    assert lines == [
        f"error: {said}. Run it again: what was not finished was not written. score and widen go on with --resume."
    ]
    span = Span(start=DAY, end=DAY + timedelta(days=2), cut=timedelta(days=1))
    assert world.job.batch and runs.resume(spark, world.job, world.job.batch, span=span).done
    assert 0 < len(world.output("batch")) < 60


def job_file(world: World, broker: KafkaBroker) -> Path:
    """The world's job with small micro-batches, one after the other."""
    mapping = job_mapping(world.folder, name=world.job.name, servers=broker.servers)
    mapping["kafka"]["max_rows_per_batch"] = 6
    mapping["registry"] = world.job.registry
    mapping["trigger"] = {"every": "1s"}
    (world.folder / "job.yaml").write_text(yaml.safe_dump(mapping))
    return world.folder / "job.yaml"


def start(*words: str | Path, log: Path) -> "subprocess.Popen[bytes]":
    environ = {**os.environ, "SPARK_MASTER": "local[2,4]"}
    with log.open("wb") as file:
        return subprocess.Popen(
            [*map(str, words)],
            env=environ,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def assert_only_our_lines(log: Path) -> None:
    assert [line for line in log.read_text().splitlines() if not re.fullmatch(OUR_LINES, line)] == []


def commit_ids(world: World) -> list[str]:
    rows = world.spark.read.format("delta").load(str(world.job.output.stream)).select("commit_id").distinct().collect()
    return [str(row["commit_id"]) for row in rows]


def group(number: int) -> list[str]:
    """The processes of a group that still run."""
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True).stdout
    fields = [line.split(None, 2) for line in listed.splitlines()]
    return [row[2] for row in fields if row[0] == str(number) and not row[1].startswith("Z")]


def wait_for(condition: Callable[[], object], *, timeout_s: float = 180) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain"
        time.sleep(0.1)
