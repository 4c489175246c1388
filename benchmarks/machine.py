"""What the numbers were measured on: no names of hosts, no paths."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from pyspark.sql import SparkSession

# the heap of an executor that is at work: a collection gives no memory back that the next run has to ask for again
HEAP = "-Xms3g -XX:+AlwaysPreTouch"


def facts(spark: SparkSession, *, packages: Iterable[str], rounds: int) -> str:
    """Processor, memory, versions and how it was measured, in a few lines."""
    java = spark.sparkContext._jvm.System.getProperty("java.version")
    return (
        f"{hardware(packages)}, Java {java}. `{spark.sparkContext.master}`, driver memory 3g, all of it "
        "the JVM's from the start, Parquet in, `noop` out. "
        f"At least three runs that are not counted, then {rounds} rounds in which the contestants take turns; medians, "
        "and ratios to the first line paired by round (least..greatest). CPU is that of the JVM with its Python "
        "workers, or of the one process."
    )


def hardware(packages: Iterable[str]) -> str:
    """Processor, memory and versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB; Python {platform.python_version()}, {versions}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
