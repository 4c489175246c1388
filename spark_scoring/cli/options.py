"""Arguments that several commands share, and what their texts mean."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from spark_scoring import errors
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import instant
from spark_scoring.spec.read import Reader

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from spark_scoring.run.runs import Span

JOB = click.argument("job", metavar="JOB")
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")


def interval(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--from` and `--to`."""
    end = click.option("--to", "end", required=True, metavar="INSTANT", help="End, UTC, not part of the interval.")
    start = click.option("--from", "start", required=True, metavar="INSTANT", help="Begin, UTC, as 2013-09-01.")
    return start(end(command))


def span(start: str, end: str, cut: str) -> "Span":
    """The interval of `--from`, `--to` and `--cut`.

    Raises: ConfigError.
    """
    from spark_scoring.run.runs import Span

    check_order(start, end)
    return Span(start=moment("--from", start), end=moment("--to", end), cut=duration("--cut", cut))


def check_order(start: str, end: str) -> None:
    """Nothing, if `--from` is before `--to`.

    Raises: ConfigError.
    """
    if moment("--from", start) >= moment("--to", end):
        raise errors.wrong_span(start, end)


def duration(option: str, text: str) -> timedelta:
    """A duration such as 30s.

    Raises: ConfigError.
    """
    return Reader(value=text, source=option).duration()


def place(option: str, text: str) -> str:
    """A path that Spark can read or write.

    Raises: ConfigError.
    """
    return Reader(value=text, source=option).place()


def moment(option: str, text: str) -> datetime:
    """An instant such as 2013-09-01, UTC.

    Raises: ConfigError.
    """
    # Python would cut them off
    if re.search(r"[.,]\d{6,}[1-9]", text):
        raise errors.too_fine_instant(option, given=text)
    try:
        return instant(text)
    except (ValueError, OverflowError):
        # a zone may shift the first and the last day out of the years 1 to 9999
        raise errors.wrong_instant(option, given=text) from None


def now() -> datetime:
    """The clock of every command."""
    return datetime.now(UTC)


def spark_for(job: Job) -> "SparkSession":
    """The session that runs the job."""
    # imported here: --help and a wrong file need no Spark
    from spark_scoring.run.session import session

    return session(f"spark-scoring {job.name}")
