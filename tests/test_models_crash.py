"""Rows that kill, block or starve the worker's process: found, rejected, and nobody else's business."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import yaml
from delta.tables import DeltaTable
from models_data import WIDE, bits, fitted, wide_rows
from pyspark.sql import DataFrame, SparkSession
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LogisticRegression

from spark_scoring import WideTable, package
from spark_scoring.errors import ConfigError, RunError
from spark_scoring.models import flavor
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.golden import check_golden
from spark_scoring.models.guard import ALWAYS, ISOLATION, TIMEOUT, tries_once
from spark_scoring.models.package import Package, read_package
from spark_scoring.models.udf import ScoredModel, score_rows
from tests.marks import slow
from tests.world import WIDE as AIRLINE
from tests.world import flights, job_mapping, make_world

ROWS = wide_rows(3000, seed=9)
SAMPLE = ROWS.slice(0, 400)
# a batch that the golden sample has no row of
BAD = 4711


@pytest.fixture(scope="module", autouse=True)
def own_classes_travel() -> Iterator[None]:
    """Workers cannot import the tests: estimators defined here are pickled with their code."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


class Fragile(RegressorMixin, BaseEstimator):
    """A linear model, whose bits depend on its block, that does something else when it sees BAD seats."""

    def __init__(self, what: str = "", log: str = "", at_load: bool = False) -> None:
        self.what, self.log, self.at_load = what, log, at_load

    def fit(self, frame: pd.DataFrame, target: Any = None) -> "Fragile":
        self.feature_names_in_ = list(frame.columns)
        self.weights = np.random.default_rng(3).normal(size=(2, 8))
        return self

    def predict(self, frame: pd.DataFrame) -> Any:
        sys.stdout.write("noise on stdout\n")
        os.write(1, b"noise of native code\n")
        if (frame["seats"] == BAD).any():
            self.do()
        return np.tanh(frame.fillna(0).to_numpy() @ self.weights).sum(axis=1)

    def do(self) -> None:
        if self.log:
            with Path(self.log).open("a") as file:
                file.write(f"{os.getpid()}\n")
        if self.what == "exit":
            os._exit(3)
        elif self.what == "sys.exit":
            sys.exit(4)
        elif self.what == "abort":
            os.abort()
        elif self.what == "memory":
            raise MemoryError
        elif self.what == "loop":
            while True:
                pass
        elif self.what == "native":
            # PyDLL keeps the GIL: no thread of Python gets to do anything
            import ctypes

            ctypes.PyDLL(None).sleep(3600)
        else:
            os.kill(os.getpid(), getattr(signal, self.what))

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.at_load and os.environ.get("SPARK_SCORING_TEST_HOME") != str(os.getpid()):
            self.do()


@pytest.fixture(scope="module", autouse=True)
def this_process() -> Iterator[None]:
    """Models that die when they are loaded live in the process that packages them."""
    os.environ["SPARK_SCORING_TEST_HOME"] = str(os.getpid())
    yield
    del os.environ["SPARK_SCORING_TEST_HOME"]


def packaged(model: Any, folder: Path) -> Package:
    flavor.save_model(model, folder, wide=WIDE, sample=SAMPLE)
    return read_package(folder, uri=str(folder), name=folder.name, version="1")


def fragile(folder: Path, what: str, **options: Any) -> Package:
    model = Fragile(what, **options).fit(to_pandas(SAMPLE)[["distance", "seats"]])
    return packaged(model, folder / what)


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> ScoredModel:
    package = packaged(fitted(LogisticRegression(), SAMPLE), tmp_path_factory.mktemp("champion") / "steady")
    return ScoredModel(role="champion", package=package)


def with_bad(*places: int) -> Any:
    seats = ROWS["seats"].to_pylist()
    for place in places:
        seats[place] = BAD
    return ROWS.set_column(ROWS.schema.get_field_index("seats"), "seats", [seats])


def entries(frame: DataFrame) -> dict[str, list[dict[str, Any]]]:
    return {row["id"]: [entry.asDict() for entry in row["scores"]] for row in frame.select("id", "scores").collect()}


@contextmanager
def setting(spark: SparkSession, name: str, value: str) -> Iterator[None]:
    spark.conf.set(name, value)
    try:
        yield
    finally:
        spark.conf.unset(name)


def score_of(package: Package, rows: Any) -> list[bytes]:
    """What the model says in this process of rows that are harmless."""
    return bits(
        flavor.load_model(str(package.path), registry="none", trust=[package.digest]).predict(to_pandas(rows))["score"]
    )


KILLERS = {
    "exit": "the process ended with exit code 3",
    "sys.exit": "the process ended with exit code 4",
    "SIGKILL": "the process was ended by SIGKILL",
    "SIGSEGV": "the process was ended by SIGSEGV",
    "abort": "the process was ended by SIGABRT",
    "memory": "MemoryError",
}
QUICK = ("SIGSEGV", "memory")


@pytest.mark.parametrize("what", [what if what in QUICK else slow(what) for what in KILLERS])
def test_a_row_that_kills_the_worker_is_rejected_alone(
    spark: SparkSession, champion: ScoredModel, tmp_path: Path, what: str
) -> None:
    shadow = ScoredModel(role="shadow", package=fragile(tmp_path, what))
    rows = with_bad(5, 1700)
    ids = ROWS["id"].to_pylist()
    found = entries(score_rows(spark.createDataFrame(rows).repartition(2, "id"), [shadow, champion]))
    rejected = {key: (e[0]["reason"], e[0]["detail"]) for key, e in found.items() if e[0]["reason"]}
    assert rejected == dict.fromkeys(["r5", "r1700"], ("MODEL_CRASH", KILLERS[what]))
    good = [place for place in range(len(ids)) if place not in (5, 1700)]
    assert bits(found[ids[place]][0]["score"] for place in good) == score_of(shadow.package, ROWS.take(good))
    assert bits(found[key][1]["score"] for key in ids) == score_of(champion.package, rows)


@pytest.mark.parametrize("what", [slow("loop"), "native"])
def test_a_model_that_never_answers_is_cut(spark: SparkSession, tmp_path: Path, what: str) -> None:
    model = ScoredModel(role="champion", package=fragile(tmp_path, what))
    rows = spark.createDataFrame(with_bad(17).slice(0, 200)).coalesce(1)
    with setting(spark, TIMEOUT, "2s"):
        found = entries(score_rows(rows, [model]))
    assert {key: (e[0]["reason"], e[0]["detail"]) for key, e in found.items() if e[0]["reason"]} == {
        "r17": ("MODEL_CRASH", "no answer within 2 s")
    }


@pytest.mark.parametrize("what", ["SIGSEGV", slow("exit")])
def test_a_model_that_dies_while_it_is_loaded(
    spark: SparkSession, champion: ScoredModel, tmp_path: Path, what: str
) -> None:
    broken = fragile(tmp_path, what, at_load=True)
    found = entries(score_rows(spark.createDataFrame(SAMPLE), [champion, ScoredModel(role="shadow", package=broken)]))
    assert {(e[0]["reason"], e[1]["reason"], e[1]["detail"]) for e in found.values()} == {
        (None, "MODEL_CRASH", f"not loaded: {KILLERS[what]}")
    }
    with pytest.raises(RunError, match="the workers cannot load the model: the process"):
        check_golden(spark, broken)


def test_isolation_changes_no_bit(spark: SparkSession, champion: ScoredModel) -> None:
    rows = spark.createDataFrame(ROWS)
    apart = {}
    for where in ("retry", ALWAYS):
        with setting(spark, ISOLATION, where):
            apart[where] = entries(score_rows(rows, [champion]))
    assert apart["retry"] == apart[ALWAYS]


class Sleepy(Fragile):
    """Says who it is and takes its time."""

    def predict(self, frame: pd.DataFrame) -> Any:
        with Path(self.log).open("a") as file:
            file.write(f"{os.getpid()} {os.getppid()}\n")
        time.sleep(0.2)
        return super().predict(frame)


def test_no_process_of_a_model_is_left(spark: SparkSession, tmp_path: Path) -> None:
    log = tmp_path / "pids"
    model = Sleepy(log=str(log)).fit(to_pandas(SAMPLE)[["distance", "seats"]])
    shadow = ScoredModel(role="shadow", package=packaged(model, tmp_path / "sleepy"))
    log.unlink()
    with setting(spark, ISOLATION, ALWAYS):
        score_rows(spark.createDataFrame(SAMPLE).coalesce(1), [shadow]).collect()
    child, worker = map(int, log.read_text().splitlines()[-1].split())
    assert runs(child) and runs(worker)
    os.kill(worker, signal.SIGKILL)
    assert eventually(lambda: not runs(child))


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(true: Callable[[], bool]) -> bool:
    for _ in range(100):
        if true():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    ("master", "once"),
    [("local", True), ("local[2]", True), ("local[*]", True), ("local[2,4]", False), ("spark://head:7077", False)],
)
def test_masters_that_make_no_task_twice(master: str, once: bool) -> None:
    # as much of a session as the question needs: it has one master for its whole life
    session = SimpleNamespace(conf={"spark.master": master})
    assert tries_once(session) is once  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_run_on_a_master_that_makes_no_task_twice(spark: SparkSession, tmp_path: Path) -> None:
    wide = WideTable.unpack(AIRLINE)
    world = make_world(spark, tmp_path, models={"champion": "models:/fragile@champion"}, own_registry=True)
    tables = {table.name: spark.read.format("delta").load(world.table(table.name)) for table in wide.tables}
    rows = spark.read.format("delta").load(world.table("flights"))
    sample = wide.transform(rows, tables).where("rejected is null").drop("rejected").limit(60).toArrow()
    model = Fragile("SIGKILL").fit(to_pandas(sample)[["miles", "seats"]])
    package(model, wide=wide, sample=sample, name="fragile", registry=world.job.registry, alias="champion")
    DeltaTable.forPath(spark, world.table("planes")).update("tail = 'N3'", {"seats": str(BAD)})
    mapping = job_mapping(tmp_path, name=world.job.name, servers="127.0.0.1:1")
    (tmp_path / "job.yaml").write_text(yaml.safe_dump({**mapping, "models": {"champion": "models:/fragile@champion"}}))

    command = [sys.executable, "-m", "spark_scoring.cli", "score", tmp_path / "job.yaml"]
    done = subprocess.run(
        [*command, "--from", "2013-09-01", "--to", "2013-09-03", "--cut", "3d"],
        env={**os.environ, "SPARK_MASTER": "local[2]"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {row["id"]: (row["reason"], row["reason_detail"]) for row in world.output("batch")}
    killers = {row["id"] for row in flights() if row["tail"] == "N3" and row["origin"] != "LAX"}
    crashed = {key for key, why in found.items() if why == ("MODEL_CRASH", KILLERS["SIGKILL"])}
    others = {key: why for key, why in found.items() if key not in killers}
    assert (len(found), crashed) == (60, killers)
    assert {reason for reason, _ in others.values()} == {None, "RULE:known_origin"}


def test_a_setting_that_is_none(spark: SparkSession, champion: ScoredModel) -> None:
    rows = spark.createDataFrame(SAMPLE)
    with setting(spark, TIMEOUT, "soon"), pytest.raises(ConfigError, match=f"{TIMEOUT}: 'soon' is not allowed"):
        score_rows(rows, [champion])
    with setting(spark, ISOLATION, "maybe"), pytest.raises(ConfigError, match="Allowed: retry, always"):
        score_rows(rows, [champion])
