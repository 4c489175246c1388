"""How often a model is loaded, and which ones a worker keeps."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from models_data import WIDE
from pyspark.sql import SparkSession
from sklearn.base import BaseEstimator, RegressorMixin
from udf_models import SAMPLE, pickled_by_value

from spark_scoring.models import flavor
from spark_scoring.models.cache import ModelCache
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.package import Package, archive_of, read_package
from spark_scoring.models.udf import ScoredModel, score_rows


@pytest.fixture(scope="module", autouse=True)
def own_classes_travel() -> Iterator[None]:
    with pickled_by_value(sys.modules[__name__]):
        yield


class Counting(RegressorMixin, BaseEstimator):
    """Writes a line whenever it is unpickled: which process, and whether MLflow was there."""

    def __init__(self, log: str = "") -> None:
        self.log = log

    def fit(self, frame: pd.DataFrame, target: Any = None) -> "Counting":
        self.feature_names_in_ = list(frame.columns)
        return self

    def predict(self, frame: pd.DataFrame) -> Any:
        return frame["distance"].fillna(0.0).to_numpy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        with Path(self.log).open("a") as file:
            file.write(f"{os.getpid()} {'mlflow' in sys.modules}\n")


def counting(folder: Path) -> tuple[Package, Callable[[], Counter[int]]]:
    """The package, and how often each process but this one has loaded it so far."""
    log = folder / "loads"
    model = Counting(str(log)).fit(to_pandas(SAMPLE)[["distance"]])
    flavor.save_model(model, folder / "counting", wide=WIDE, sample=SAMPLE)

    def loads() -> Counter[int]:
        lines = [line.split() for line in log.read_text().splitlines()]
        in_workers = [(int(pid), mlflow) for pid, mlflow in lines if int(pid) != os.getpid()]
        assert {mlflow for _, mlflow in in_workers} == {"False"}
        return Counter(pid for pid, _ in in_workers)

    return read_package(folder / "counting", uri="counting"), loads


@pytest.fixture
def new_workers(spark: SparkSession, tmp_path: Path) -> Iterator[None]:
    """Worker processes of this test's own: Spark shares them among tasks of equal environments only."""
    spark.sparkContext.environment["SPARK_SCORING_TEST"] = str(tmp_path)
    yield
    del spark.sparkContext.environment["SPARK_SCORING_TEST"]


@pytest.mark.usefixtures("new_workers")
def test_a_job_of_200_tasks_loads_a_model_once_per_worker(spark: SparkSession, tmp_path: Path) -> None:
    package, loads = counting(tmp_path)
    rows = spark.createDataFrame(SAMPLE).repartition(200)
    scored = score_rows(rows, [ScoredModel(role="champion", package=package)]).filter("scores[0].score is not null")
    assert (scored.rdd.getNumPartitions(), scored.count()) == (200, 400)
    # two task slots, and an idle worker may be replaced by a new one
    assert set(loads().values()) == {1} and len(loads()) <= 4


@pytest.mark.usefixtures("new_workers")
def test_a_stream_of_100_micro_batches_loads_a_model_once_per_worker(spark: SparkSession, tmp_path: Path) -> None:
    package, loads = counting(tmp_path)
    (tmp_path / "in").mkdir()
    for part in range(100):
        pq.write_table(SAMPLE.slice(part * 4, 4), tmp_path / "in" / f"{part}.parquet")
    schema = spark.createDataFrame(SAMPLE).schema
    stream = spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).parquet(str(tmp_path / "in"))
    scored = score_rows(stream, [ScoredModel(role="champion", package=package)])
    query = scored.writeStream.format("noop").option("checkpointLocation", str(tmp_path / "state"))
    running = query.trigger(availableNow=True).start()
    running.awaitTermination()
    assert running.lastProgress["batchId"] == 99
    assert set(loads().values()) == {1} and len(loads()) <= 4


@pytest.mark.usefixtures("new_workers")
def test_each_micro_batch_with_a_plan_of_its_own_loads_nothing(spark: SparkSession, tmp_path: Path) -> None:
    package, loads = counting(tmp_path)
    for _ in range(4):
        model = [ScoredModel(role="champion", package=package)]
        score_rows(spark.createDataFrame(SAMPLE), model).write.format("noop").mode("overwrite").save()
    assert set(loads().values()) == {1} and len(loads()) <= 4


def test_the_cache_keeps_to_its_budget(packages: dict[str, Package]) -> None:
    asked: list[str] = []
    content = {name: archive_of(package) for name, package in packages.items()}
    cache = ModelCache(budget_bytes=len(content["line"]) + len(content["logistic"]), used_bytes=lambda: 0)

    def get(name: str, *wanted: str) -> None:
        cache.get(
            name,
            spec=packages[name].spec,
            archive=lambda: asked.append(name) or content[name],  # type: ignore[func-returns-value]
            wanted=wanted,
        )

    for name in ("line", "logistic", "line", "forest", "forest", "line"):
        get(name)
    assert asked == ["line", "logistic", "forest", "line"]
    asked.clear()
    # what one job needs is kept together: giving it up would load every model again for every batch of rows
    for name in ("line", "forest", "line", "forest"):
        get(name, "line", "forest")
    assert (asked, set(cache.loaded)) == (["forest"], {"line", "forest"})


def test_the_cache_counts_what_a_model_takes(packages: dict[str, Package]) -> None:
    grown = iter([0, 500, 500, 500])
    cache = ModelCache(budget_bytes=700_000, used_bytes=lambda: 1000 * next(grown))
    for name in ("line", "logistic"):
        cache.get(name, spec=packages[name].spec, archive=lambda name=name: archive_of(packages[name]))  # type: ignore[misc]
    assert [size for _, size in cache.loaded.values()] == [500_000, len(archive_of(packages["logistic"]))]
