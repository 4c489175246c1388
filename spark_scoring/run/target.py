"""The output table as it stands, held against the rows that a run would write, before anything is written."""

from collections.abc import Iterator

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from spark_scoring import errors
from spark_scoring.io import delta, files
from spark_scoring.run import ledger, output
from spark_scoring.run.places import check_apart, outputs_of, places_of
from spark_scoring.spec.job import Job

# what every output has, whatever the job keeps and however its keys are named
ALWAYS = frozenset({"event_time", "event_date", "outcome", "reason", "model", "role", "scores", "source", "commit_id"})

# also of a row that was rejected
ALWAYS_FILLED = frozenset({"outcome", "scores", "commit_id", "scored_at"})


def check_folders(spark: SparkSession, job: Job) -> None:
    """Nothing, if the job's outputs and state are folders, or nothing yet, and the outputs lie in nothing else.

    Raises: ConfigError: one is a file, or an output lies in a table or below another place of the job.
    """
    for key, path in (*outputs_of(job), ("state", job.state)):
        if path and files.is_file(spark, path):
            raise errors.not_a_folder(f"{job.path}: {key}", given=path)
    for key, path in outputs_of(job):
        # a table may be the output itself, read as it was before
        check_apart(spark, path, where=f"{job.path}: {key}", taken=places_of(job), job=job.path, itself=False)


def check_target(spark: SparkSession, path: str, frame: DataFrame, *, job: str, kind: str) -> None:
    """Nothing, if there is no table yet, or one of the job that takes rows of this frame, new columns merged in.

    `kind`: `batch` or `stream`, of which the former replaces rows.

    Raises: RunError: the table is no output of ours, or another job's, or of the other kind, or a column has another
    type, or it lies or is closed in a way that no write gets past, or other files lie there.
    """
    if not delta.is_table(spark, path):
        check_free(spark, path)
        return
    there = spark.read.format("delta").load(path).schema
    names = {name.lower() for name in there.fieldNames()}
    if missing := sorted(ALWAYS - names):
        raise errors.other_output(path, missing=missing)
    check_owner(spark, path, job=job, kind=kind)
    for column, given, found in differences(frame.schema, there):
        raise errors.output_type(path, column=column, given=given, there=found)
    if why := _closed(delta.demands(spark, path), replaced=kind == ledger.BATCH):
        raise errors.closed_output(path, why=why)


def _closed(table: delta.Demands, *, replaced: bool) -> str | None:
    """Why the table takes no output, or would not take a rejected row; None if it does."""
    if table.partitioned != output.PARTITIONS:
        by = ", ".join(table.partitioned)
        return f"it is partitioned by {by or 'nothing'}, and an output is by {', '.join(output.PARTITIONS)}"
    if null := [name for name in table.filled if name not in ALWAYS_FILLED]:
        return f"it says NOT NULL of {', '.join(null)}, which some row of an output has no value of"
    if table.append_only and replaced:
        return "it has delta.appendOnly, and a commit replaces the rows of its interval"
    return None


def check_free(spark: SparkSession, path: str) -> None:
    """Nothing, if a new table can be made at `path`: nothing lies there, or what a first write that failed has left.

    Raises: RunError: other files lie there, which whoever reads them would find mixed with the table's.
    """
    names = files.list_names(spark, path)
    # Delta makes the folder of its log before it writes the first file
    if "_delta_log" not in names and (others := [name for name in names if not name.startswith((".", "_"))]):
        raise errors.other_files(path, there=others)


def check_owner(spark: SparkSession, path: str, *, job: str, kind: str) -> None:
    """Nothing, if nobody else writes the output at `path`: it would lose rows by `replaceWhere`, and its ledger.

    Raises: RunError: the newest commit there is another job's, or of this job's batch and `kind` is `stream`, or the
    other way round.
    """
    owner = ledger.owner_of(spark, path)
    if owner is not None and owner.job != job:
        raise errors.output_of_another_job(path, owner=owner.job, job=job)
    if owner is not None and owner.kind not in (None, kind):
        raise errors.output_of_the_other_kind(path, job=job, owner=str(owner.kind), kind=kind)


def differences(given: T.StructType, there: T.StructType, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(column, type given, type there) for each column, fields of structs included, that both have with two types."""
    known = {field.name.lower(): field for field in there}
    for field in given:
        other = known.get(field.name.lower())
        if other is not None:
            yield from _differences(field.dataType, other.dataType, f"{prefix}{field.name}")


def _differences(given: T.DataType, there: T.DataType, name: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(given, T.StructType) and isinstance(there, T.StructType):
        yield from differences(given, there, f"{name}.")
    elif isinstance(given, T.ArrayType) and isinstance(there, T.ArrayType):
        yield from _differences(given.elementType, there.elementType, name)
    elif given.simpleString() != there.simpleString():
        yield name, given.simpleString(), there.simpleString()
