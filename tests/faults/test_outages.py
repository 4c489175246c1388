"""Outages heal by themselves: a broker that is paused, a worker that is killed, a model that hangs, a registry gone."""

import copy
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sklearn.base import BaseEstimator, RegressorMixin

from spark_scoring import WideTable, package
from spark_scoring.models.guard import TIMEOUT
from spark_scoring.run import stream
from spark_scoring.testing import KafkaBroker
from tests.conftest import JARS
from tests.faults import oracle
from tests.faults.arena import Arena, make_arena, now
from tests.world import WIDE, flights, package_model

# Kafka's clients wait a minute by themselves
IMPATIENT = {"default.api.timeout.ms": "3000", "request.timeout.ms": "2000", "session.timeout.ms": "6000"}


@contextmanager
def streaming(arena: Arena) -> Iterator[threading.Semaphore]:
    """The stream at work in this process, until the block ends; a permit for each commit."""
    made, stop = threading.Semaphore(0), threading.Event()
    job = replace(arena.job, trigger=replace(arena.job.trigger, every=timedelta(seconds=1)))
    options = {"once": False, "now": now, "stop": stop, "progress": lambda _: made.release()}
    thread = threading.Thread(target=stream.stream, args=(arena.world.spark, job), kwargs=options)
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join(120)


@pytest.mark.slow
def test_a_broker_that_is_paused_and_killed(spark: SparkSession, tmp_path: Path) -> None:
    with KafkaBroker.start(jars=Path(JARS).parent / "kafka") as broker:
        arena = make_arena(spark, tmp_path, broker, kafka={"options": IMPATIENT})
        arena.send(0, 10)
        with streaming(arena) as made:
            assert made.acquire(timeout=120)
            broker.pause()
            time.sleep(6)
            broker.resume()
            arena.send(10, 20)
            assert made.acquire(timeout=120)
            broker.kill()
            time.sleep(4)
            broker.restart()
            arena.send(20, 30)
            assert made.acquire(timeout=120)
        assert not arena.damage() and arena.holds()


def test_a_python_worker_that_is_killed(arena: Arena) -> None:
    arena.send(0, 20)
    with streaming(arena) as made:
        assert made.acquire(timeout=120)
        for pid in workers():
            os.kill(pid, signal.SIGKILL)
        arena.send(20, 40)
        assert made.acquire(timeout=120)
    assert not arena.damage() and arena.holds()


def workers() -> list[int]:
    """The Python workers, and the daemon that makes them, of this process's JVM."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    ours, grown = {str(os.getpid())}, True
    while grown:
        more = {pid for pid, parent, _ in rows if parent in ours} - ours
        ours, grown = ours | more, bool(more)
    return [int(pid) for pid, _, args in rows if pid in ours and "pyspark" in args and "java" not in args.split()[0]]


class Hanging(RegressorMixin, BaseEstimator):
    """Never comes back from rows with so many seats."""

    def fit(self, frame: pd.DataFrame, target: Any = None) -> "Hanging":
        self.feature_names_in_ = list(frame.columns)
        return self

    def predict(self, frame: pd.DataFrame) -> Any:
        if (frame["seats"] == 4711).any():
            time.sleep(3600)
        return frame["miles"].fillna(0).to_numpy()


def package_own(arena: Arena, model: Any, *, name: str) -> None:
    """An estimator of this file as the champion of that name."""
    spark, wide = arena.world.spark, WideTable.unpack(WIDE)
    tables = {table.name: spark.read.format("delta").load(arena.world.table(table.name)) for table in wide.tables}
    rows = spark.read.format("delta").load(arena.world.table("flights"))
    sample = wide.transform(rows, tables).where("rejected is null").drop("rejected").toPandas()
    # workers cannot import the tests
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        fitted = model.fit(sample[["miles", "seats"]])
        package(fitted, wide=wide, sample=sample, name=name, registry=arena.job.registry, alias="champion")
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.slow
def test_a_model_that_hangs_costs_its_rows_alone(arenas: Callable[..., Arena], spark: SparkSession) -> None:
    arena = arenas(own_registry=True, models={"champion": "models:/hanging@champion"})
    package_own(arena, Hanging(), name="hanging")
    DeltaTable.forPath(spark, arena.world.table("planes")).update("tail = 'N3'", {"seats": "4711"})
    arena.send(10, 14)
    spark.conf.set(TIMEOUT, "1s")
    try:
        arena.run()
    finally:
        spark.conf.unset(TIMEOUT)

    cut = {row["id"] for row in flights(14)[10:] if row["tail"] == "N3" and row["origin"] != "LAX"}
    found = {row["id"]: (row["reason"], row["reason_detail"]) for row in arena.world.output("stream")}
    assert cut and {key for key, why in found.items() if why == ("MODEL_CRASH", "no answer within 1 s")} == cut
    assert {why for key, (why, _) in found.items() if key not in cut} == {None}
    assert not arena.damage() and arena.holds()


@pytest.mark.slow
def test_a_registry_that_goes_away_under_a_running_stream(arenas: Callable[..., Arena], tmp_path: Path) -> None:
    arena = arenas(own_registry=True)
    arena.send(0, 10)
    with streaming(arena) as made:
        assert made.acquire(timeout=120)
        (tmp_path / "mlflow.db").rename(tmp_path / "away.db")
        arena.send(10, 20)
        assert made.acquire(timeout=120)
    assert not arena.damage()
    assert {row["model_version"] for row in oracle.rows_of(arena.output)} == {"1", None}


def tampered(arena: Arena) -> None:
    """Its files are not the ones that were registered."""
    package_model(arena.world.spark, arena.world.folder, strength=0.01)
    newest = max((arena.world.folder / "mlflow-artifacts").rglob("*.skops"), key=lambda path: path.stat().st_mtime)
    newest.write_bytes(newest.read_bytes()[:-1] + b"x")
    shutil.rmtree(arena.world.folder / "spark-scoring-packages")  # the verified copies of both


def of_a_missing_table(arena: Arena) -> None:
    """It looks up a table that the job does not have."""
    spark, mapping = arena.world.spark, copy.deepcopy(WIDE)
    mapping["tables"]["hangars"] = mapping["tables"]["planes"]
    mapping["steps"].append({"lookup": "hangars", "on": ["tail"], "take": {"beds": "seats"}})
    hangars = spark.read.format("delta").load(arena.world.table("planes"))
    package_model(spark, arena.world.folder, mapping=mapping, tables={"hangars": hangars})


def of_another_type(arena: Arena) -> None:
    """It takes a column of a table for longer than it is."""
    spark, mapping = arena.world.spark, copy.deepcopy(WIDE)
    mapping["tables"]["planes"]["columns"]["seats"] = "bigint"
    planes = spark.read.format("delta").load(arena.world.table("planes"))
    longer = {"planes": planes.withColumn("seats", F.col("seats").cast("bigint"))}
    package_model(spark, arena.world.folder, mapping=mapping, tables=longer)


def of_other_scores(arena: Arena) -> None:
    """It does not score its golden sample as it did when it was packaged."""
    mood = arena.world.folder / "mood"
    mood.write_text("1")
    package_own(arena, Moody(str(mood)), name="late")
    mood.write_text("2")


class Moody(RegressorMixin, BaseEstimator):
    """Its scores depend on what stands in a file, as others do on the version of a library."""

    def __init__(self, path: str) -> None:
        self.path = path

    def fit(self, frame: pd.DataFrame, target: Any = None) -> "Moody":
        self.feature_names_in_ = list(frame.columns)
        return self

    def predict(self, frame: pd.DataFrame) -> Any:
        return frame["miles"].fillna(0).to_numpy() * float(Path(self.path).read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (tampered, "they changed after packaging"),
        (of_a_missing_table, "key 'hangars' is missing"),
        (of_another_type, "'seats' is int, declared bigint"),
        (of_other_scores, "than when the model was packaged"),
    ],
)
def test_a_candidate_that_is_not_fit_never_serves(
    arenas: Callable[..., Arena], caplog: pytest.LogCaptureFixture, make: Callable[[Arena], None], why: str
) -> None:
    arena = arenas(own_registry=True)
    arena.send(0, 10)
    with streaming(arena) as made:
        assert made.acquire(timeout=120)
        make(arena)
        arena.send(10, 20)
        assert made.acquire(timeout=120)
    plan = oracle.metadata_of(arena.output)[-1]
    assert not arena.damage()
    assert plan["models"]["champion"]["version"] == "1" and plan["refused"] == ["models:/late/2"]
    assert why in caplog.text


@pytest.mark.slow
def test_sigterm_ends_in_order(arena: Arena) -> None:
    arena.send(0, 40)
    process = arena.start("stream")
    while " scored, " not in arena.log("log").read_text():
        assert process.poll() is None
        time.sleep(0.1)
    process.terminate()
    assert process.wait(120) == 0
    arena.finished("stream", "--once")
    assert not arena.damage()
