"""Where rows and tables come from: Delta at a pinned version, any other Spark source as it is when it is read."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

import pyspark.sql.functions as F
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from spark_scoring import errors
from spark_scoring.io import delta
from spark_scoring.io.causes import cause_of, missing_file
from spark_scoring.io.delta import Size
from spark_scoring.io.files import exists
from spark_scoring.io.json import parsed
from spark_scoring.jvm.sizes import UNKNOWN_BYTES
from spark_scoring.spec.job import Source, Topic
from spark_scoring.spec.plan import Plan
from spark_scoring.spec.sql_texts import cast_text
from spark_scoring.spec.types import is_nested
from spark_scoring.spec.wide import Column


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A source at one version; `None` where the source keeps no versions. `name`: what the job calls it.

    `table_id`: of the table that has this version; `None` also where an older plan does not say it.
    """

    name: str
    source: Source
    path: str | None
    version: int | None
    table_id: str | None = None


def pin(spark: SparkSession, source: Source, *, name: str) -> Pin:
    """The source at its current version; without one, if it is not Delta and need not be `pinned`.

    Raises: RunError: there is no such table, or it keeps no versions. ConfigError: it is a Delta table, and the job
    names its files.
    """
    if source.format not in ("delta", "table"):
        _refuse_delta(spark, source, name=name)
        return Pin(name=name, source=source, path=None, version=None)
    path = source.location if source.format == "delta" else _folder(spark, source, name=name)
    if path is None:
        return Pin(name=name, source=source, path=None, version=None)
    version = delta.version_of(spark, path)
    if version is None:
        raise errors.missing_table(name, where=path, cause="no Delta table there")
    return Pin(name=name, source=source, path=path, version=version.number, table_id=version.table_id)


def at(pinned: Pin, version: int | None, *, table_id: str | None = None) -> Pin:
    """The same source at another version, of the table with that id."""
    return replace(pinned, version=version, table_id=table_id)


def as_planned(pinned: Pin, plan: Plan, *, name: str) -> Pin:
    """The same source at the version that an earlier plan has under this name."""
    return at(pinned, plan.tables.get(name), table_id=plan.table_ids.get(name))


def versions_of(pins: Mapping[str, Pin]) -> dict[str, int | None]:
    """Name -> version; `None` where the source keeps none."""
    return {name: pinned.version for name, pinned in pins.items()}


def ids_of(pins: Mapping[str, Pin]) -> dict[str, str]:
    """Name -> id of the table that has this version, where the source keeps versions."""
    return {name: pinned.table_id for name, pinned in pins.items() if pinned.table_id is not None}


def read(spark: SparkSession, pinned: Pin, *, columns: tuple[Column, ...]) -> DataFrame:
    """The frame of a pinned source. Text formats are read by name and strictly, as declared in `columns`.

    Raises: RunError: the source cannot be read, or that version is gone. ConfigError: no csv file can fit.
    """
    if pinned.path is not None and pinned.version is not None:
        return delta.read_version(spark, pinned.path, pinned.version, table_id=pinned.table_id)
    source = pinned.source
    try:
        if source.format == "json":
            return _json(spark, source, columns)
        if source.format == "csv":
            return _csv(spark, pinned, columns)
        if source.format == "table":
            return spark.read.options(**dict(source.options)).table(source.location)
        return spark.read.format(source.format).options(**dict(source.options)).load(source.location)
    except AnalysisException as error:
        raise errors.missing_table(pinned.name, where=source.location, cause=error.getCondition() or "") from None


def read_rows(spark: SparkSession, pinned: Pin, *, columns: tuple[Column, ...]) -> DataFrame:
    """The frame of a job's rows: as `read`, without columns that have names of ours, such as `__parse`.

    None of the rows can be declared with such a name.

    Raises: as `read`.
    """
    frame = read(spark, pinned, columns=columns)
    # the reader of a text format makes some itself, and nothing else that is not declared
    ours = [] if pinned.source.format in ("csv", "json") else [n for n in frame.columns if n.startswith("__")]
    return frame.drop(*ours) if ours else frame


@contextmanager
def readable(spark: SparkSession, pins: Iterable[Pin]) -> Iterator[None]:
    """For the actions over these: that a version is there does not say that its files are.

    Raises: RunError: a file of one is gone, as after a VACUUM.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        gone = unquote(missing_file(error) or "")
        for pinned in pins if gone else ():
            if pinned.path is not None and pinned.version is not None and _in(spark, pinned.path, gone):
                cause = "files of it are gone, as after a VACUUM"
                raise errors.unreadable_version(pinned.path, version=pinned.version, cause=cause) from None
        raise


def _in(spark: SparkSession, path: str, said: str) -> bool:
    return f"{delta.folder_of(spark, path)}/" in said


def size_of(spark: SparkSession, pinned: Pin, frame: DataFrame) -> Size:
    """What is there of a pinned source: from Delta's log, else what Spark knows of the files; no data is read."""
    if pinned.path is not None and pinned.version is not None:
        return delta.size_at(spark, pinned.path, pinned.version)
    plan: Any = frame._jdf.queryExecution().analyzed()
    leaves = plan.collectLeaves()
    found = [int(str(leaves.apply(i).stats().sizeInBytes())) for i in range(leaves.size())]
    known = sum(found) if max(found, default=UNKNOWN_BYTES) < UNKNOWN_BYTES else None
    return Size(bytes=known, files=len(frame.inputFiles()) or None, rows=None)


def schema_of(columns: tuple[Column, ...]) -> T.StructType:
    """The Spark schema of declared columns, every one nullable."""
    return T.StructType([T.StructField(c.name, T.DataType.fromDDL(c.type)) for c in columns])


def _folder(spark: SparkSession, source: Source, *, name: str) -> str | None:
    """The folder of a catalog's Delta table; None for a table or view that keeps no versions, where that may be."""
    path = delta.location_of(spark, source.location)
    if path is None and source.pinned:
        raise errors.not_pinned(name, table=source.location)
    return path


def _refuse_delta(spark: SparkSession, source: Source, *, name: str) -> None:
    try:
        found = exists(spark, f"{source.location}/_delta_log")
    except Py4JJavaError as error:
        raise errors.unusable_place(source.location, cause=cause_of(error)) from error
    if found:
        why = "a Delta table is there, and rows that were removed from it would be read too"
        raise errors.contradiction(name, given=f"'{source.format}:'", why=why, do="Write 'delta:' instead")


def _json(spark: SparkSession, source: Source, columns: tuple[Column, ...]) -> DataFrame:
    options = dict(source.options)
    topic = Topic(topic=source.location, time_unit=options.pop("time_unit", None))
    lines = spark.read.format("text").options(**options).load(source.location)
    value = F.encode("value", "utf-8")
    return lines.select(parsed(spark, value, schema_of(columns), topic).alias("row")).select("row.*")


def _csv(spark: SparkSession, pinned: Pin, columns: tuple[Column, ...]) -> DataFrame:
    options = {"header": "true", **dict(pinned.source.options)}
    _refuse_csv(pinned, columns)
    frame = spark.read.options(**options).csv(pinned.source.location)
    there = {name.lower(): name for name in frame.columns}
    for name in (column.name for column in columns if column.name.lower() not in there):
        raise errors.not_in_file(pinned.name, column=name, there=frame.columns)
    texts = {c.name: F.col(f"`{there[c.name.lower()]}`") for c in columns}
    types = {c.name: c.type for c in columns}
    values = {n: F.expr(cast_text(f"`{there[n.lower()]}`", type=types[n])) for n in texts}
    bad = F.array_compact(F.array(*[F.when(texts[n].isNotNull() & values[n].isNull(), F.lit(n)) for n in values]))
    kept = [value.alias(name) for name, value in values.items()]
    return frame.select(*kept, F.lit(None).cast("string").alias("__parse"), bad.alias("__bad"))


def _refuse_csv(pinned: Pin, columns: tuple[Column, ...]) -> None:
    for name, value in pinned.source.options:
        if name.lower() == "inferschema" and value != "false":
            why = "a column has its declared type, and '007' read as a number would be another text"
            raise errors.contradiction(pinned.name, given=f"the option {name}", why=why, do="Leave it out")
    for column in columns:
        if is_nested(column.type):
            why, do = "a csv file has no nested values", "Use delta, parquet or json, or declare no such column"
            given = f"column '{column.name}' ({column.type})"
            raise errors.contradiction(pinned.name, given=given, why=why, do=do)
