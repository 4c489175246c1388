"""Small text files wherever Spark can write: local disk, HDFS, an object store."""

import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

T = TypeVar("T")
MOST_TRIES = 10


def read_text(spark: SparkSession, path: str) -> str | None:
    """The file's text, UTF-8; `None` where there is no such file.

    Raises: ValueError: it is no UTF-8, or its checksum is that of another text.
    """
    try:
        return _read_text(spark, path)
    except Py4JJavaError as error:
        if error.java_exception.getClass().getSimpleName() != "ChecksumException":
            raise
        raise ValueError(f"{path}: its checksum does not fit") from None


def _read_text(spark: SparkSession, path: str) -> str | None:
    files, where = _open(spark, path)
    if not files.exists(where):
        return None
    stream = files.open(where)
    try:
        return bytes(spark._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)).decode("utf-8")  # type: ignore[union-attr]
    finally:
        stream.close()


def read_settled(spark: SparkSession, path: str) -> str | None:
    """The text of a file that another process may be replacing at this moment; `None` where there is no such file.

    On a local disk a file and its checksum are two files, and a reader may find the new one with the old other.
    """
    return _patiently(lambda: _read_text(spark, path), "ChecksumException", "FileNotFoundException")


def write_text(spark: SparkSession, path: str, text: str) -> None:
    """Write the whole file or nothing: a temporary file beside it, renamed over the old one.

    Other processes may write it at the same time; one of them is the last.
    """
    # on a local disk the old file and its checksum are removed first, and another writer may come between
    _patiently(lambda: _write_text(spark, path, text), "FileAlreadyExistsException", "FileNotFoundException")


def _patiently(attempt: Callable[[], T], *passing: str) -> T:
    """What the attempt returns, made again after errors that another process's writing explains."""
    for _ in range(MOST_TRIES - 1):
        try:
            return attempt()
        except Py4JJavaError as error:
            if error.java_exception.getClass().getSimpleName() not in passing:
                raise
            time.sleep(0.02)
    return attempt()


def _write_text(spark: SparkSession, path: str, text: str) -> None:
    files, where = _open(spark, path)
    _, beside = _open(spark, f"{path}.{uuid.uuid4().hex}.tmp")
    _fill(files.create(beside, False), text)
    try:
        if not _replaced(spark, files, beside, where):
            # a store that knows no renaming over a file
            files.delete(where, False)
            if not files.rename(beside, where):
                raise OSError(f"{path}: could not be written")
    except Py4JJavaError:
        files.delete(beside, False)
        raise


def write_new(spark: SparkSession, path: str, text: str) -> bool:
    """Write a file that is not there yet; False where there is one."""
    files, where = _open(spark, path)
    try:
        stream = files.create(where, False)
    except Py4JJavaError:
        if not files.exists(where):
            raise
        return False
    _fill(stream, text)
    return True


def remove(spark: SparkSession, path: str) -> None:
    """Delete a file; nothing where there is none."""
    files, where = _open(spark, path)
    files.delete(where, False)


def list_names(spark: SparkSession, path: str) -> list[str]:
    """The names in a folder, sorted; empty where there is no folder."""
    files, where = _open(spark, path)
    if not files.exists(where):
        return []
    return sorted(status.getPath().getName() for status in files.listStatus(where))


def exists(spark: SparkSession, path: str) -> bool:
    """Whether there is a file or folder of that name."""
    files, where = _open(spark, path)
    return bool(files.exists(where))


def is_file(spark: SparkSession, path: str) -> bool:
    """Whether a file stands there, and so no folder can."""
    files, where = _open(spark, path)
    return bool(files.exists(where)) and not files.getFileStatus(where).isDirectory()


def move(spark: SparkSession, path: str, to: str) -> None:
    """Rename a file or folder.

    Raises: OSError: it is not there, or something stands at `to`.
    """
    files, where = _open(spark, path)
    if not files.rename(where, _open(spark, to)[1]):
        raise OSError(f"{path}: could not be moved to {to}")


def _fill(stream: Any, text: str) -> None:
    stream.write(bytearray(text.encode("utf-8")))
    stream.close()


def _replaced(spark: SparkSession, files: Any, beside: Any, where: Any) -> bool:
    """Whether one file took the other's place in one step, so that a reader finds the old or the new one."""
    jvm: Any = spark._jvm
    options = spark.sparkContext._gateway.new_array(jvm.org.apache.hadoop.fs.Options.Rename, 1)  # type: ignore[union-attr]
    options[0] = jvm.org.apache.hadoop.fs.Options.Rename.OVERWRITE
    try:
        context = jvm.org.apache.hadoop.fs.FileContext.getFileContext(files.getUri(), _conf(spark))
        context.rename(beside, where, options)
    except Py4JJavaError as error:
        if error.java_exception.getClass().getSimpleName() != "UnsupportedFileSystemException":
            raise
        return False
    return True


def _conf(spark: SparkSession) -> Any:
    return spark._jsparkSession.sessionState().newHadoopConf()


def _open(spark: SparkSession, path: str) -> tuple[Any, Any]:
    jvm: Any = spark._jvm
    where = jvm.org.apache.hadoop.fs.Path(path)
    return where.getFileSystem(_conf(spark)), where
