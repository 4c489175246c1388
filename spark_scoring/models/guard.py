"""How long a model may take, and where: the settings of a pass, and the watchdog of a worker."""

import faulthandler
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import SparkSession

from spark_scoring.spec.read import Reader

TIMEOUT, ISOLATION = "spark.scoring.modelTimeout", "spark.scoring.isolation"
DEFAULT_TIMEOUT = "60s"
ON_RETRY, ALWAYS = "retry", "always"
# the watchdog is set again after this share of the time-out: setting it costs a thread
SLACK = 0.1


@dataclass(frozen=True, kw_only=True)
class Guard:
    """How long a model may take for a block of rows; whether it always gets a process of its own."""

    timeout_s: float = 60.0
    isolate: bool = False


def guard_of(spark: SparkSession) -> Guard:
    """What the session's settings say; a master that makes no task twice isolates in any case.

    Raises: ConfigError: one of them is no duration, or not allowed.
    """
    timeout = Reader(value=spark.conf.get(TIMEOUT, DEFAULT_TIMEOUT), source=TIMEOUT).duration()
    isolation = Reader(value=spark.conf.get(ISOLATION, ON_RETRY), source=ISOLATION).one_of(ON_RETRY, ALWAYS)
    return Guard(timeout_s=timeout.total_seconds(), isolate=isolation == ALWAYS or tries_once(spark))


def tries_once(spark: SparkSession) -> bool:
    """Whether the first lost worker fails the job: there is no second attempt in which to find the row."""
    master = str(spark.conf.get("spark.master", ""))
    if master == "local" or (master.startswith("local[") and "," not in master):
        return True
    return spark.conf.get("spark.task.maxFailures", "4") == "1"


@contextmanager
def watched(timeout_s: float) -> Iterator[Callable[[], None]]:
    """Ends this process if a call takes longer than the time-out; what it gives is to be called before each call.

    faulthandler's thread needs no GIL: native code that holds it is ended too.
    """
    allowed = timeout_s * (1 + SLACK)
    armed_at = -allowed

    def again() -> None:
        nonlocal armed_at
        if time.monotonic() - armed_at > timeout_s * SLACK:
            faulthandler.dump_traceback_later(allowed, exit=True, file=sys.__stderr__ or sys.stderr)
            armed_at = time.monotonic()

    try:
        yield again
    finally:
        faulthandler.cancel_dump_traceback_later()
        _give_back_to_spark()


def _give_back_to_spark() -> None:
    """There is one such timer in a process, and a setting of Spark's uses it too."""
    interval_s = int(os.environ.get("PYTHON_TRACEBACK_DUMP_INTERVAL_SECONDS") or 0)
    if interval_s > 0:
        faulthandler.dump_traceback_later(interval_s, repeat=True)
