"""One Spark session for the whole suite, left clean after every test."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_scoring.testing import KafkaBroker

HOME = Path(__file__).resolve().parents[1]
JARS = os.environ.get("SPARK_SCORING_JARS", str(HOME / ".cache" / "jars" / "spark"))

# local[2,4]: two cores, and a task is retried as it would be on a cluster
# snapshotPartitions: 50 tasks for a Delta log of a few lines are 2 s a commit
# extraJavaOptions: a collector, and a way to start `chmod` and `readlink`, that leave the two cores to the tests
SETTINGS = {
    "spark.master": "local[2,4]",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "3g",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC -Djdk.lang.Process.launchMechanism=VFORK",
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.codegen.cache.maxEntries": "1000",
    "spark.sql.codegen.hugeMethodLimit": "8000",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.runSQLOnFiles": "false",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled": "false",
}


@pytest.fixture(scope="session")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.appName("tests").config(
        "spark.jars", ",".join(sorted(str(jar) for jar in Path(JARS).glob("*.jar")))
    )
    builder = builder.config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture
def spark(spark_session: SparkSession) -> Iterator[SparkSession]:
    yield spark_session
    for query in spark_session.streams.active:
        query.stop()
    spark_session.catalog.clearCache()


@pytest.fixture(scope="session")
def broker() -> Iterator[KafkaBroker]:
    """One broker for the whole suite: a test makes topics of its own and never stops it."""
    with KafkaBroker.start(jars=Path(JARS).parent / "kafka") as running:
        yield running
