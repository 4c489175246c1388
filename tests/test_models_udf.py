"""Scoring in Spark: real models, real workers, one pass, the same bits whatever the cut."""

import math
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import runtime_models
from models_data import WIDE, bits, fitted, wide_rows
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

import spark_scoring
from spark_scoring.errors import ConfigError, RunError
from spark_scoring.jvm.functions import LONGEST, no_huge_methods
from spark_scoring.models import flavor
from spark_scoring.models.cache import ModelCache
from spark_scoring.models.compiled.choose import admitted
from spark_scoring.models.contract import Tolerance
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.golden import check_golden, within
from spark_scoring.models.package import Package, archive_of, digest_of, read_package
from spark_scoring.models.udf import ScoredModel, score_rows

ROWS = wide_rows(3000, seed=5)
SAMPLE = ROWS.slice(0, 400)
ESTIMATORS = {
    "trees": HistGradientBoostingClassifier(max_iter=10),
    "forest": RandomForestClassifier(20, random_state=0, n_jobs=2),
    "logistic": LogisticRegression(),
    "three": LogisticRegression(),
    "line": LinearRegression(),
}
CLASSES = {"three": 3, "line": 0}


@pytest.fixture(scope="module", autouse=True)
def own_classes_travel() -> Iterator[None]:
    """Workers cannot import the tests: estimators defined here are pickled with their code."""
    own = (sys.modules[__name__], runtime_models)
    for module in own:
        cloudpickle.register_pickle_by_value(module)
    yield
    for module in own:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {name: fitted(estimator, SAMPLE, classes=CLASSES.get(name, 2)) for name, estimator in ESTIMATORS.items()}


@pytest.fixture(scope="module")
def packages(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    folder = tmp_path_factory.mktemp("packages")
    return {name: made(model, folder / name) for name, model in models.items()}


def made(model: Any, folder: Path) -> Package:
    flavor.save_model(model, folder, wide=WIDE, sample=SAMPLE)
    return read_package(folder, uri=str(folder), name=folder.name, version="1")


def entries(scored: DataFrame) -> dict[str, list[dict[str, Any]]]:
    return {
        row["id"]: [entry and entry.asDict() for entry in row["scores"]]
        for row in scored.select("id", "scores").collect()
    }


def test_the_workers_say_what_the_estimators_say(
    spark: SparkSession, packages: dict[str, Package], models: dict[str, Any]
) -> None:
    scored = entries(
        score_rows(spark.createDataFrame(ROWS), [ScoredModel(role=n, package=p) for n, p in packages.items()])
    )
    frame = to_pandas(ROWS)
    for place, (name, model) in enumerate(models.items()):
        found = [scored[key][place] for key in frame["id"]]
        direct = flavor.load_model(str(packages[name].path), registry="none").predict(frame)
        assert bits(entry["score"] for entry in found) == bits(direct["score"])
        assert [entry["label"] for entry in found] == direct["label"].tolist()
        expected = model.predict(frame)
        assert (
            direct["label"].tolist() == expected.tolist() if name != "line" else np.allclose(direct["score"], expected)
        )
        assert {(e["role"], e["model"], e["model_version"], e["reason"], e["detail"]) for e in found} == {
            (name, name, "1", None, None)
        }


@pytest.mark.parametrize("partitions", [1, 7])
@pytest.mark.parametrize("batch", [16, 10_000])
def test_bits_do_not_depend_on_the_cut(
    spark: SparkSession, packages: dict[str, Package], partitions: int, batch: int
) -> None:
    chosen = [ScoredModel(role=name, package=packages[name]) for name in ("logistic", "three", "line")]
    rows = spark.createDataFrame(ROWS.slice(0, 700)).repartition(partitions, "id")
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", batch)
    try:
        found = entries(score_rows(rows, chosen))
    finally:
        spark.conf.unset("spark.sql.execution.arrow.maxRecordsPerBatch")
    frame = to_pandas(ROWS.slice(0, 700))
    for place, model in enumerate(chosen):
        direct = flavor.load_model(str(model.package.path), registry="none").predict(frame)
        assert bits(found[key][place]["score"] for key in frame["id"]) == bits(direct["score"])


def test_rejected_rows_are_not_scored(spark: SparkSession, packages: dict[str, Package]) -> None:
    both = [ScoredModel(role=name, package=packages[name]) for name in ("trees", "line")]
    rows = spark.createDataFrame(SAMPLE)
    some = entries(score_rows(rows, both, where=F.when(F.col("seats") > 100, True).when(F.col("seats") > 50, False)))
    every = entries(score_rows(rows, both))
    wanted = {
        key
        for key, seats in zip(SAMPLE["id"].to_pylist(), SAMPLE["seats"].to_pylist(), strict=True)
        if (seats or 0) > 100
    }
    assert {e for found in entries(score_rows(rows, both, where=F.lit(False))).values() for e in found} == {None}
    assert some == {key: every[key] if key in wanted else [None, None] for key in every}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_labels_that_no_sample_showed_and_names_of_any_letters(
    spark: SparkSession, packages: dict[str, Package], tmp_path: Path
) -> None:
    known, strange = ["a/b,`c`", "%2F é 日本", ""], "never seen"
    texts = pa.array([*known, strange, None] * 40)
    rows = SAMPLE.slice(0, 200).set_column(SAMPLE.schema.get_field_index("carrier"), "carrier", texts)
    sample = rows.filter(pc.invert(pc.equal(rows["carrier"], strange).fill_null(False)))
    flavor.save_model(
        runtime_models.Told(), tmp_path / "said", wide=WIDE, sample=sample, features=["distance", "carrier"]
    )
    package = read_package(tmp_path / "said", uri="said", name="a/b,c`d`", version="1,2")
    assert sorted(package.classes) == sorted(known)
    found = entries(
        score_rows(spark.createDataFrame(rows), [
            ScoredModel(role="shadow", package=package), ScoredModel(role="champion", package=packages["line"]),
        ])
    )  # fmt: skip
    for row in rows.to_pylist():
        said, line = found[row["id"]]
        failed = row["distance"] is None
        assert (said["model"], said["model_version"], said["role"]) == ("a/b,c`d`", "1,2", "shadow")
        assert (said["score"], said["reason"]) == (row["distance"], "NOT_FINITE" if failed else None)
        assert said["label"] == (None if failed else row["carrier"])
        assert (line["model"], line["reason"], line["score"] is None) == ("line", None, False)


def test_one_evaluation_however_often_it_is_read(spark: SparkSession, packages: dict[str, Package]) -> None:
    scored = score_rows(spark.createDataFrame(SAMPLE), [ScoredModel(role="champion", package=packages["trees"])])
    entry = F.col("scores")[0]
    used = (
        scored.withColumn("score", entry["score"])
        .withColumn("label", entry["label"])
        .withColumn("late", F.col("score") > 0.5)
        .filter("score is not null and seats > 3")
    )
    plan = used._jdf.queryExecution().executedPlan().toString()
    assert plan.count("ArrowEvalPython [") == 1
    assert used.count() == sum((seats or 0) > 3 for seats in SAMPLE["seats"].to_pylist())


def test_columns_are_found_by_name(spark: SparkSession, packages: dict[str, Package]) -> None:
    model = [ScoredModel(role="champion", package=packages["trees"])]
    rows = spark.createDataFrame(SAMPLE)
    turned = rows.select(F.col("carrier").alias("CARRIER"), "night", "seats", "at", "id", "distance")
    assert entries(score_rows(turned, model)) == entries(score_rows(rows, model))


class Moody(RegressorMixin, BaseEstimator):
    """Raises on some rows, has no finite answer for others."""

    def fit(self, frame: pd.DataFrame, target: Any = None) -> "Moody":
        self.feature_names_in_ = list(frame.columns)
        return self

    def predict(self, frame: pd.DataFrame) -> Any:
        if (frame["carrier"] == "Ü").any():
            raise LookupError("never shown: Ü")
        return np.where(frame["carrier"] == "BB", math.nan, frame["distance"].fillna(0.0))


def test_one_models_failure_touches_no_other(spark: SparkSession, packages: dict[str, Package], tmp_path: Path) -> None:
    sample = SAMPLE.filter(pc.is_in(SAMPLE["carrier"], pa.array(["AA", None])))
    moody = Moody().fit(to_pandas(sample)[["carrier", "distance"]])
    flavor.save_model(moody, tmp_path / "moody", wide=WIDE, sample=sample)
    shadow = ScoredModel(role="shadow", package=read_package(tmp_path / "moody", uri="moody"))
    champion = ScoredModel(role="champion", package=packages["logistic"])
    rows = spark.createDataFrame(SAMPLE)
    alone, together = entries(score_rows(rows, [champion])), entries(score_rows(rows, [shadow, champion]))
    assert {key: entry[1:] for key, entry in together.items()} == alone
    carrier = dict(zip(SAMPLE["id"].to_pylist(), SAMPLE["carrier"].to_pylist(), strict=True))
    expected = {"Ü": ("MODEL", "LookupError"), "BB": ("NOT_FINITE", None)}
    assert {key: (entry[0]["reason"], entry[0]["detail"]) for key, entry in together.items()} == {
        key: expected.get(value, (None, None)) for key, value in carrier.items()
    }


def test_a_model_that_cannot_be_loaded_takes_no_other_with_it(
    spark: SparkSession, packages: dict[str, Package], tmp_path: Path
) -> None:
    champion = ScoredModel(role="champion", package=packages["logistic"])
    copy = Path(shutil.copytree(packages["line"].path, tmp_path / "copy"))
    (copy / "model.skops").write_bytes(b"junk")
    broken = ScoredModel(role="shadow", package=replace(packages["line"], path=copy, digest=digest_of(copy)))
    found = entries(score_rows(spark.createDataFrame(SAMPLE), [champion, broken]))
    assert {(e[0]["reason"], e[1]["reason"], e[1]["detail"]) for e in found.values()} == {
        (None, "MODEL", "not loaded: BadZipFile")
    }


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


@pytest.mark.parametrize("way", ["path", "package", "uri"])
def test_models_in_one_line(spark: SparkSession, packages: dict[str, Package], tmp_path: Path, way: str) -> None:
    registry = f"sqlite:///{tmp_path}/mlflow.db"
    package = packages["line"]
    if way == "uri":
        line = fitted(LinearRegression(), SAMPLE, classes=0)
        package = flavor.package(line, wide=WIDE, sample=SAMPLE, name="line", registry=registry, alias="champion")
    given = {"path": package.path, "package": package, "uri": "models:/line@champion"}[way]
    rows = spark.createDataFrame(SAMPLE)
    scored = spark_scoring.score_rows(rows, [given, packages["logistic"]], registry=registry)
    expected = [
        admitted(spark, package, role="champion"),
        admitted(spark, packages["logistic"], role="shadow"),
    ]
    named = [["champion", "shadow"]] * len(SAMPLE)
    assert [[entry["role"] for entry in found] for found in entries(scored).values()] == named
    score = {key: [entry["score"] for entry in found] for key, found in entries(scored).items()}
    assert score == {
        key: [entry["score"] for entry in found] for key, found in entries(score_rows(rows, expected)).items()
    }


def test_one_model_needs_no_list(spark: SparkSession, packages: dict[str, Package]) -> None:
    rows, package = spark.createDataFrame(SAMPLE), packages["line"]
    alone = entries(spark_scoring.score_rows(rows, package, runtime="arrow"))
    assert alone == entries(spark_scoring.score_rows(rows, [package], runtime="arrow"))


@pytest.mark.parametrize(
    ("models", "runtime", "message"),
    [
        ([], None, "score_rows: it is given no model"),
        (["models:/line@champion"], "foo", "score_rows: runtime: 'foo' is not allowed here.* Allowed: arrow or comp"),
        ("models:/line@champion", "arow", "Did you mean 'arrow'"),
        ("line", None, "'line' names no model"),
    ],
)
def test_what_score_rows_cannot_take(spark: SparkSession, models: Any, runtime: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spark_scoring.score_rows(spark.range(1), models, runtime=runtime, registry="none")


def test_a_model_that_was_admitted_is_taken_without_a_job(spark: SparkSession, packages: dict[str, Package]) -> None:
    rows = spark.createDataFrame(SAMPLE)
    spark_scoring.score_rows(rows, [packages["line"]])
    jobs = spark.sparkContext._jsc.sc().statusStore().jobsList  # type: ignore[union-attr]
    before = jobs(None).size()

    again = spark_scoring.score_rows(rows, [packages["logistic"], packages["line"]], runtime="arrow")
    between = jobs(None).size()
    spark_scoring.score_rows(rows, [packages["line"], packages["logistic"]], runtime="arrow")

    assert before < between == jobs(None).size()
    assert [entry["role"] for entry in next(iter(entries(again).values()))] == ["champion", "shadow"]


def test_a_streaming_frame_is_scored_too(spark: SparkSession, packages: dict[str, Package], tmp_path: Path) -> None:
    rows = spark.createDataFrame(SAMPLE)
    rows.write.parquet(str(tmp_path / "in"))
    model = [admitted(spark, packages["logistic"], role="champion")]
    stream = spark_scoring.score_rows(
        spark.readStream.schema(rows.schema).parquet(str(tmp_path / "in")), [packages["logistic"]]
    )
    query = stream.writeStream.format("memory").queryName("scored_stream")
    query.option("checkpointLocation", str(tmp_path / "state")).trigger(availableNow=True).start().awaitTermination()
    assert entries(spark.table("scored_stream")) == entries(score_rows(rows, model))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop("seats"), "the model reads column 'seats', and the frame has none"),
        (
            lambda rows: rows.withColumn("seats", F.col("seats").cast("int")),
            "'seats' is int, the model learned it as bigint",
        ),
        (lambda rows: rows.withColumn("Scores", F.lit(1)), "the name 'scores' exists already"),
    ],
)
def test_a_frame_that_does_not_fit(
    spark: SparkSession, packages: dict[str, Package], change: Callable[[DataFrame], DataFrame], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        score_rows(change(spark.createDataFrame(SAMPLE)), [ScoredModel(role="champion", package=packages["trees"])])


def test_the_golden_sample_holds(spark: SparkSession, packages: dict[str, Package]) -> None:
    for package in packages.values():
        check_golden(spark, package)


def test_another_score_or_label_is_refused(spark: SparkSession, packages: dict[str, Package], tmp_path: Path) -> None:
    package = packages["trees"]
    golden = pq.read_table(package.golden)
    score = golden["score"].to_numpy().copy()
    score[3] += 0.25
    label = ["never shown" if place == 5 else text for place, text in enumerate(golden["label"].to_pylist())]
    changed = golden.set_column(golden.schema.get_field_index("score"), "score", pa.array(score))
    changed = changed.set_column(golden.schema.get_field_index("label"), "label", pa.array(label))
    pq.write_table(changed, tmp_path / "golden.parquet")
    (tmp_path / "model.skops").write_bytes((package.path / "model.skops").read_bytes())
    other = replace(package, path=tmp_path, digest=digest_of(tmp_path))
    with pytest.raises(
        RunError, match=r"of 300 golden rows 1 got another score \(.* 0\.25\) and 1 another label"
    ) as error:
        check_golden(spark, other)
    assert "never shown" not in str(error.value)


def test_within() -> None:
    now = np.array([1.0, np.nextafter(1.0, 2), 1.0 + 1e-12, math.nan])
    was = np.ones(4)
    assert within(now, was, tolerance=Tolerance(ulps=2)).tolist() == [True, True, False, False]
    assert within(now, was, tolerance=Tolerance(relative=1e-9)).tolist() == [True, True, True, False]
    assert within(now, was, tolerance=Tolerance()).tolist() == [True, False, False, False]


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


@pytest.mark.parametrize(("given", "found"), [("65535", "8000"), ("20000", "20000")])
def test_a_session_that_scores_leaves_no_method_to_the_interpreter(spark: SparkSession, given: str, found: str) -> None:
    session = spark.newSession()
    session.conf.set(LONGEST[0], given)
    no_huge_methods(session)
    assert session.conf.get(LONGEST[0]) == found
