"""One Spark session for the whole suite, left clean after every test."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import SparkSession

from spark_scoring.testing import KafkaBroker

if TYPE_CHECKING:
    from spark_scoring.models.package import Package
    from tests.cli_calls import Caller
    from tests.world import World

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


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory that must stay empty."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


# what follows is imported when it is asked for: most tests need neither these models nor a job


@pytest.fixture(scope="session")
def models() -> dict[str, Any]:
    """The fitted models of `udf_models`, by name."""
    from udf_models import fitted_models

    return fitted_models()


@pytest.fixture(scope="session")
def packages(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> "dict[str, Package]":
    """The models of `udf_models` as packages, by name."""
    from udf_models import made

    folder = tmp_path_factory.mktemp("packages")
    return {name: made(model, folder / name) for name, model in models.items()}


@pytest.fixture(scope="session")
def cli_world(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory, broker: KafkaBroker) -> "World":
    """A job with its topics and its wide table as a file, for the tests of the commands."""
    import yaml

    from tests.world import WIDE, make_world

    made = make_world(spark_session, tmp_path_factory.mktemp("world"), servers=broker.servers, own_registry=True)
    for kind in ("flights", "arrivals"):
        broker.create_topic(f"{made.job.name}_{kind}", partitions=2)
    (made.folder / "wide.yaml").write_text(yaml.safe_dump(WIDE, sort_keys=False))
    return made


@pytest.fixture
def call(spark: SparkSession, capfd: pytest.CaptureFixture[str]) -> "Iterator[Caller]":
    from tests.cli_calls import Caller

    yield Caller(capfd)
    assert SparkSession.getActiveSession() is spark
