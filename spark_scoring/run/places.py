"""Places that a run writes to: each for itself, in no table and below nothing else of the job."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import delta, files
from spark_scoring.spec.job import Job
from spark_scoring.spec.sources import Source, public_spelling

CATALOG = "table"


def places_of(job: Job) -> Iterator[tuple[str, str]]:
    """(what, path) of all that the job reads and writes, as far as its file gives a path."""
    named: list[tuple[str, Source]] = [("rows.batch", job.batch)] if job.batch else []
    named += [(f"tables.{table.name}", table.source) for table in job.tables]
    named += [(f"actuals.{actual.name}", actual.source) for actual in job.actuals]
    yield from ((what, source.location) for what, source in named if source.format != CATALOG)
    yield from outputs_of(job)


def outputs_of(job: Job) -> Iterator[tuple[str, str]]:
    """(what, path) of the output tables."""
    if job.output.batch:
        yield "output.batch", job.output.batch
    if job.output.stream:
        yield "output.stream", job.output.stream


def check_apart(
    spark: SparkSession, path: str, *, where: str, taken: Iterable[tuple[str, str]], job: str, itself: bool = True
) -> None:
    """Nothing, if the path lies in no table and not below what is `taken`; `itself`: nor where that is.

    `where`: what gives the path.

    Raises: ConfigError.
    """
    given, do = public_spelling(path), "Give it a place of its own"
    for what, other in taken:
        same = _plain(path) == _plain(other)
        if (itself and same) or (not same and f"{_plain(path)}/".startswith(f"{_plain(other)}/")):
            raise errors.contradiction(where, given=given, why=f"{what} of {job} is there", do=do)
    if (table := _table_above(spark, path)) is not None:
        raise errors.contradiction(where, given=given, why=f"it lies in the table {public_spelling(table)}", do=do)


def _table_above(spark: SparkSession, path: str) -> str | None:
    """The Delta table in whose folder the path lies."""
    above = _parent(path)
    # Delta looks further up by itself; where it finds none, no folder has to be asked for one by one
    if not above or not delta.is_table(spark, above):
        return None
    while above and not files.exists(spark, f"{above}/_delta_log"):
        above = _parent(above)
    return above or None


def _parent(path: str) -> str:
    """The folder that holds the path; empty at the root of a store, and where a relative path begins."""
    above = path.rstrip("/").rpartition("/")[0]
    return "" if above.endswith(("/", ":")) else above


def _plain(path: str) -> str:
    local = path.removeprefix("file:").rstrip("/")
    return local if "://" in path and not path.startswith("file:") else str(Path(local).resolve())
