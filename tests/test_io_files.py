"""Small text files that several processes write."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyspark.sql import SparkSession

from spark_scoring.io import files

TIMES = 50


def test_two_writers_of_one_file_do_not_stop_each_other(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "lease")

    def write(text: str) -> None:
        for _ in range(TIMES):
            files.write_text(spark, path, text)

    with ThreadPoolExecutor(2) as writers:
        list(writers.map(write, ["one", "other"]))
    # what two last writes leave may be the file of one and the checksum of the other; a living writer writes again
    files.write_text(spark, path, "end")
    assert files.read_text(spark, path) == "end"
    assert files.list_names(spark, str(tmp_path)) == ["lease"]
