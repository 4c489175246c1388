"""The Spark session of a command: the one spark-submit made, or a local one of our own."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.jvm.functions import no_huge_methods
from spark_scoring.jvm.names import remember_names

HOME = Path(__file__).resolve().parents[2]
PACKAGES = "io.delta:delta-spark_4.2_2.13:4.4.0,org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0"

# what scoring rests on, whatever the session was started with
RUNTIME = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled": "false",
    "spark.databricks.delta.snapshotPartitions": "2",
}
STATIC = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "3g",
    "spark.sql.shuffle.partitions": "8",
    "spark.sql.runSQLOnFiles": "false",
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.sql.codegen.cache.maxEntries": "1000",
}


def session(name: str) -> SparkSession:
    """A session fit for scoring: UTC, ANSI, Delta. One that is active already is taken as it is, never started anew.

    Raises: ConfigError: the session that there is was started without Delta.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    active = SparkSession.getActiveSession()
    if active is not None:
        return prepared(active)
    with _own_handler():
        started = _submitted(name) if _under_spark_submit() else _local(name)
    return prepared(started)


def cancel_jobs() -> None:
    """End what the session of this process still computes, silently; nothing where there is none."""
    # a JVM that is gone computes nothing
    with suppress(Py4JError, OSError):
        if (context := SparkContext._active_spark_context) is not None:
            # whatever is interrupted would log its stack
            context.setLogLevel("OFF")
            context.cancelAllJobs()


def prepared(spark: SparkSession) -> SparkSession:
    """The same session with the settings that scoring rests on."""
    for setting, value in STATIC.items():
        if value not in str(spark.conf.get(setting, "")):
            raise errors.session_setting(setting, needed=value)
    for setting, value in RUNTIME.items():
        spark.conf.set(setting, value)
    no_huge_methods(spark)
    remember_names(spark)
    return spark


@contextmanager
def _own_handler() -> Iterator[None]:
    """Ctrl-C goes to whom it went before; PySpark's own handler calls the JVM in the middle of another call."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _under_spark_submit() -> bool:
    return "PYSPARK_GATEWAY_PORT" in os.environ or "PYSPARK_SUBMIT_ARGS" in os.environ


def _submitted(name: str) -> SparkSession:
    return SparkSession.builder.appName(name).getOrCreate()


def _local(name: str) -> SparkSession:
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    # how Spark logs and takes signals is read from there when its JVM starts
    os.environ.setdefault("SPARK_CONF_DIR", str(_conf()))
    builder = SparkSession.builder.appName(name).master(os.environ.get("SPARK_MASTER", "local[*,4]"))
    for setting, value in {**LOCAL, **STATIC, **RUNTIME}.items():
        builder = builder.config(setting, value)
    jars = sorted(str(jar) for jar in _jars().glob("*.jar"))
    builder = builder.config("spark.jars", ",".join(jars)) if jars else builder.config("spark.jars.packages", PACKAGES)
    return builder.getOrCreate()


def _conf() -> Path:
    beside, installed = HOME / "conf", Path(__file__).resolve().parents[1] / "conf"
    return beside if (beside / "log4j2.properties").is_file() else installed


def _jars() -> Path:
    return Path(os.environ.get("SPARK_SCORING_JARS", HOME / ".cache" / "jars" / "spark"))
