"""Faults are counted from nothing in every test, and no switch outlives one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_scoring.run import faults
from spark_scoring.testing import KafkaBroker
from tests.faults.arena import Arena, make_arena


@pytest.fixture(autouse=True)
def counted_from_nothing() -> Iterator[None]:
    faults._times.clear()
    yield


@pytest.fixture
def arena(spark: SparkSession, tmp_path: Path, broker: KafkaBroker) -> Arena:
    return make_arena(spark, tmp_path, broker)


@pytest.fixture
def arenas(spark: SparkSession, tmp_path: Path, broker: KafkaBroker) -> Callable[..., Arena]:
    """Makes one with other settings of the job."""

    def make(**changes: Any) -> Arena:
        return make_arena(spark, tmp_path, broker, **changes)

    return make
