"""Scoring in one line: what `score_rows` takes for a model, and what it makes of it."""

from pathlib import Path
from typing import Any

import pytest
from models_data import WIDE, fitted
from pyspark.sql import SparkSession
from sklearn.linear_model import LinearRegression
from udf_models import SAMPLE, entries

import spark_scoring
from spark_scoring.errors import ConfigError
from spark_scoring.models import flavor
from spark_scoring.models.compiled.choose import admitted
from spark_scoring.models.package import Package
from spark_scoring.models.udf import score_rows


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
