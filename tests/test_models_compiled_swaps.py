"""Compiled models in streams, swapped many times: found by every thread, and nothing is left behind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from models_data import fitted, wide_rows
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from runtime_models import SAMPLE, packaged
from sklearn.ensemble import GradientBoostingRegressor

from spark_scoring.models.compiled import choose
from spark_scoring.models.compiled.compile import compiled
from spark_scoring.models.package import Package
from spark_scoring.models.udf import SCORES, ScoredModel, score_rows

SWAPS, BATCHES = 200, 10


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    model = fitted(GradientBoostingRegressor(n_estimators=20), SAMPLE, classes=0)
    return packaged(model, tmp_path_factory.mktemp("package"), sample=SAMPLE)


def test_a_stream_swaps_200_models_and_leaves_no_class_behind(
    spark: SparkSession, package: Package, tmp_path: Path
) -> None:
    """As a stream meets them: another content and key each, the same features."""
    form = compiled(package)
    spark.createDataFrame(SAMPLE).repartition(BATCHES).write.parquet(str(tmp_path / "in"))
    jvm: Any = spark._jvm
    management = jvm.java.lang.management.ManagementFactory
    (metaspace,) = [pool for pool in management.getMemoryPoolMXBeans() if pool.getName() == "Metaspace"]
    loaded, used = list[int](), list[int]()

    def each(batch: DataFrame, number: int) -> None:
        for swap in range(SWAPS // BATCHES):
            other = replace(form, key=f"{number}-{swap}")
            scored = score_rows(batch, [ScoredModel(role="champion", package=package, compiled=other)])
            assert scored.filter(F.col(SCORES)[0]["score"].isNotNull()).count() > 0
        jvm.System.gc()
        loaded.append(management.getClassLoadingMXBean().getLoadedClassCount())
        used.append(metaspace.getUsage().getUsed())

    rows = spark.readStream.schema(spark.createDataFrame(SAMPLE).schema).option("maxFilesPerTrigger", 1)
    query = rows.parquet(str(tmp_path / "in")).writeStream.foreachBatch(each)
    query.option("checkpointLocation", str(tmp_path / "state")).trigger(availableNow=True).start().awaitTermination()
    assert len(loaded) == BATCHES
    # generated code is the same for every model of the same features; what grows a little are caches of Spark's own
    assert loaded[-1] - loaded[BATCHES // 2] < SWAPS // 4
    # some 25 KB a swap is what the JVM notes of methods; the code of 300 trees were 20 times that
    assert used[-1] - used[BATCHES // 2] < SWAPS // 2 * 100_000


def test_a_streaming_frame_is_scored_in_the_jvm(spark: SparkSession, package: Package, tmp_path: Path) -> None:
    model = [choose.admitted(spark, package, role="champion")]
    rows = spark.createDataFrame(SAMPLE)
    rows.write.parquet(str(tmp_path / "in"))
    stream = score_rows(spark.readStream.schema(rows.schema).parquet(str(tmp_path / "in")), model)
    query = stream.writeStream.format("memory").queryName("compiled_stream")
    query.option("checkpointLocation", str(tmp_path / "state")).trigger(availableNow=True).start().awaitTermination()
    assert model[0].runtime == "compiled"
    assert scores(spark.table("compiled_stream")) == scores(score_rows(rows, model))


def scores(frame: DataFrame) -> dict[str, Any]:
    return {row["id"]: row["score"] for row in frame.select("id", F.col(SCORES)[0]["score"].alias("score")).collect()}


@pytest.mark.parametrize("partitions", [1, 7])
def test_the_same_row_has_the_same_bits_whatever_the_cut(
    spark: SparkSession, package: Package, partitions: int
) -> None:
    model = [ScoredModel(role="champion", package=package, compiled=compiled(package))]
    rows = spark.createDataFrame(wide_rows(500, seed=9))
    cut = rows.repartition(partitions, "id").filter("seats > 50")
    whole = scores(score_rows(rows, model))
    assert {key: whole[key] for key in scores(score_rows(cut, model))} == scores(score_rows(cut, model))


def test_generated_or_interpreted_it_is_the_same(spark: SparkSession, package: Package) -> None:
    model = [ScoredModel(role="champion", package=package, compiled=compiled(package))]
    rows = spark.createDataFrame(SAMPLE)
    generated = scores(score_rows(rows, model))
    try:
        spark.conf.set("spark.sql.codegen.wholeStage", "false")
        spark.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        assert scores(score_rows(rows, model)) == generated
    finally:
        spark.conf.unset("spark.sql.codegen.wholeStage")
        spark.conf.unset("spark.sql.codegen.factoryMode")
