"""Scoring in Spark: real models, real workers, one pass, the same bits whatever the cut."""

import math
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import runtime_models
from models_data import WIDE, bits
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.base import BaseEstimator, RegressorMixin
from udf_models import ROWS, SAMPLE, entries, pickled_by_value

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.jvm.functions import LONGEST, no_huge_methods
from spark_scoring.models import flavor
from spark_scoring.models.contract import Tolerance
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.golden import check_golden, within
from spark_scoring.models.package import Package, digest_of, read_package
from spark_scoring.models.udf import ScoredModel, score_rows


@pytest.fixture(scope="module", autouse=True)
def own_classes_travel() -> Iterator[None]:
    with pickled_by_value(sys.modules[__name__], runtime_models):
        yield


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


@pytest.mark.parametrize(("given", "found"), [("65535", "8000"), ("20000", "20000")])
def test_a_session_that_scores_leaves_no_method_to_the_interpreter(spark: SparkSession, given: str, found: str) -> None:
    session = spark.newSession()
    session.conf.set(LONGEST[0], given)
    no_huge_methods(session)
    assert session.conf.get(LONGEST[0]) == found
