"""Small text files wherever Spark can write: local disk, HDFS, an object store."""

from typing import Any

from pyspark.sql import SparkSession


def read_text(spark: SparkSession, path: str) -> str | None:
    """The file's text, UTF-8; `None` where there is no such file."""
    files, where = _open(spark, path)
    if not files.exists(where):
        return None
    stream = files.open(where)
    try:
        return bytes(spark._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)).decode("utf-8")  # type: ignore[union-attr]
    finally:
        stream.close()


def write_text(spark: SparkSession, path: str, text: str) -> None:
    """Write the whole file or nothing: a temporary file beside it, renamed over the old one."""
    files, where = _open(spark, path)
    _, beside = _open(spark, f"{path}.tmp")
    stream = files.create(beside, True)
    stream.write(bytearray(text.encode("utf-8")))
    stream.close()
    files.delete(where, False)
    if not files.rename(beside, where):
        raise OSError(f"{path}: could not be written")


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


def move(spark: SparkSession, path: str, to: str) -> None:
    """Rename a file or folder.

    Raises: OSError: it is not there, or something stands at `to`.
    """
    files, where = _open(spark, path)
    if not files.rename(where, _open(spark, to)[1]):
        raise OSError(f"{path}: could not be moved to {to}")


def _open(spark: SparkSession, path: str) -> tuple[Any, Any]:
    jvm: Any = spark._jvm
    where = jvm.org.apache.hadoop.fs.Path(path)
    return where.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf()), where
