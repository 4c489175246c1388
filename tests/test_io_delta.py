"""Appends under a transaction id: once, without a look at the whole log, and refused where another was faster."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from world import newest_job

from spark_scoring.errors import RunError
from spark_scoring.io import delta, delta_log, delta_upkeep, delta_write
from spark_scoring.io.delta_write import Transaction, Written

APP = "late:one"


@pytest.fixture
def table(spark: SparkSession, tmp_path: Path) -> str:
    """A table of three rows with its first commit under the id."""
    path = str(tmp_path / "table")
    assert _append(spark.range(3).toDF("id"), path, 0) == 0
    return path


def _append(frame: DataFrame, path: str, version: int, app: str = APP) -> int | None:
    txn = Transaction(app_id=app, version=version)
    written = delta_write.append_once(frame, path, txn=txn, metadata=f"{app} {version}", partition_by=())
    return None if written is None else written.number


def _jobs(spark: SparkSession, action: Callable[[], Any]) -> int:
    before = newest_job(spark)
    action()
    return newest_job(spark) - before


def test_each_version_of_an_id_is_written_once(spark: SparkSession, table: str) -> None:
    rows = spark.range(3, 5).toDF("id")
    assert [_append(rows, table, version) for version in (1, 1, 0, 5, 4)] == [1, None, None, 2, None]
    assert _append(rows, table, 0, app="late:two") == 3
    assert delta.transactions(spark, table, prefix="late:") == {APP: 5, "late:two": 0}
    assert sorted(row.id for row in spark.read.format("delta").load(table).collect()) == [0, 1, 2, 3, 3, 3, 4, 4, 4]


def test_the_log_says_what_delta_s_own_writer_says(spark: SparkSession, table: str) -> None:
    _append(spark.range(3, 5).toDF("id"), table, 1)
    writer = spark.range(5, 9).toDF("id").write.format("delta").mode("append").option("userMetadata", "theirs")
    writer.option("txnAppId", APP).option("txnVersion", 1).save(table)
    assert delta.current_version(spark, table) == 1
    writer.option("txnAppId", APP).option("txnVersion", 2).save(table)
    theirs, ours, _ = delta.history(spark, table)
    assert (ours.operation, ours.user_metadata, ours.rows_written) == (theirs.operation, f"{APP} 1", 2)
    assert delta.last_transaction(spark, table, APP) == 2


def test_the_log_is_read_back_as_far_as_it_is_asked_for(
    spark: SparkSession, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, history = list[int | None](), delta.history
    monkeypatch.setattr(delta, "TAILS", (2, 4, None))
    monkeypatch.setattr(delta, "history", lambda *given, newest: read.append(newest) or history(*given, newest=newest))
    for version in range(1, 6):
        _append(spark.range(version, version + 1).toDF("id"), table, version)

    entries = delta.newest_first(spark, table)
    assert [next(entries).version, next(entries).version, read] == [5, 4, [2]]
    _append(spark.range(6, 7).toDF("id"), table, 6)
    assert [entry.version for entry in entries] == [3, 2, 1, 0]
    assert read == [2, 4, None]
    assert not list(delta.newest_first(spark, str(tmp_path / "none")))


def test_new_columns_are_merged_in(spark: SparkSession, table: str) -> None:
    _append(spark.createDataFrame([(3, "x")], "id bigint, name string"), table, 1)
    assert spark.read.format("delta").load(table).columns == ["id", "name"]


@pytest.mark.parametrize(
    ("properties", "reads"),
    [
        ({}, False),
        ({"delta.dataSkippingNumIndexedCols": "0"}, True),
        ({"delta.columnMapping.mode": "name"}, True),
        ({"delta.enableDeletionVectors": "true", "delta.dataSkippingStatsColumns": "name"}, False),
    ],
)
def test_what_a_commit_says_may_be_made_of_what_it_wrote(
    spark: SparkSession, tmp_path: Path, properties: dict[str, str], reads: bool
) -> None:
    path, counted, was_read = str(tmp_path / "table"), list[tuple[int, int]](), list[int]()
    for setting, value in properties.items():
        spark.conf.set(f"spark.databricks.delta.properties.defaults.{setting.removeprefix('delta.')}", value)

    def metadata(files: Written) -> str:
        assert not delta.is_table(spark, path) or delta.current_version(spark, path) == len(counted) - 1
        counted.append(files.counts("name"))
        rows = files.read().collect()
        assert counted[-1] == (len(rows), sum(row.name is None for row in rows))
        was_read.append(_jobs(spark, lambda: files.counts("name")))
        return f"{counted[-1]}"

    try:
        for version, count in enumerate([6, 3, 0]):
            txn = Transaction(app_id=APP, version=version)
            frame = spark.range(count).selectExpr("id", "if(id % 3 = 0, null, string(id)) as name", "id % 2 as part")
            delta_write.append_once(frame, path, txn=txn, metadata=metadata, partition_by=("part",))
    finally:
        for setting in properties:
            spark.conf.unset(f"spark.databricks.delta.properties.defaults.{setting.removeprefix('delta.')}")
    assert counted == [(6, 2), (3, 1), (0, 0)]
    assert [entry.user_metadata for entry in delta.history(spark, path)] == [f"{one}" for one in reversed(counted)]
    assert [jobs > 0 for jobs in was_read] == [reads, reads, False]


def test_what_fails_before_the_commit_commits_nothing(spark: SparkSession, table: str) -> None:
    def metadata(_: Written) -> str:
        raise RuntimeError("struck")

    txn = Transaction(app_id=APP, version=1)
    with pytest.raises(RuntimeError, match="struck"):
        delta_write.append_once(spark.range(3, 5).toDF("id"), table, txn=txn, metadata=metadata, partition_by=())
    assert delta.current_version(spark, table) == 0
    assert _append(spark.range(7, 8).toDF("id"), table, 1) == 1
    assert sorted(row.id for row in spark.read.format("delta").load(table).collect()) == [0, 1, 2, 7]


def test_of_two_that_create_a_table_one_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "table")

    def and_another_is_faster(_: Written) -> str:
        assert _append(spark.range(3).toDF("id"), path, 0, app="late:two") == 0
        return "slower"

    txn = Transaction(app_id=APP, version=0)
    for metadata in (and_another_is_faster, "late"):
        with pytest.raises(PySparkException) as refused:
            delta_write.append_once(
                spark.range(9).toDF("id"), path, txn=txn, metadata=metadata, partition_by=(), create=True
            )
        assert delta_write.lost_race(refused.value)
    assert sorted(row.id for row in spark.read.format("delta").load(path).collect()) == [0, 1, 2]


def test_a_table_that_a_job_creates_is_one_of_many_commits(spark: SparkSession, tmp_path: Path) -> None:
    path, txn = str(tmp_path / "table"), Transaction(app_id=APP, version=0)
    delta_write.append_once(spark.range(3).toDF("id"), path, txn=txn, metadata="", partition_by=(), create=True)
    _append(spark.range(3).toDF("id"), path, 1)
    assert delta_upkeep.layout(spark, path).properties["delta.checkpointInterval"] == "500"


def test_no_job_looks_through_the_log(spark: SparkSession, table: str) -> None:
    rows = spark.range(0, 2, 1, 1).toDF("id")
    _append(rows, table, 1)
    assert _jobs(spark, lambda: _append(rows, table, 2)) == 1


@pytest.mark.parametrize("version", [1, 2])
def test_without_a_checksum_file_delta_is_asked(spark: SparkSession, table: str, version: int) -> None:
    _append(spark.range(1).toDF("id"), table, 1)
    for checksum in Path(table).glob("_delta_log/*.crc"):
        checksum.unlink()
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    assert _append(spark.range(1).toDF("id"), table, version) == (None if version == 1 else 2)


def test_of_two_commits_that_begin_together_one_is_refused(
    spark: SparkSession, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = delta_log.transactions

    def and_then_another(*given: Any) -> dict[str, int]:
        monkeypatch.setattr(delta_log, "transactions", looked_up)
        found = looked_up(*given)
        assert _append(spark.range(3, 5).toDF("id"), table, 1) == 1
        return found

    monkeypatch.setattr(delta_log, "transactions", and_then_another)
    with pytest.raises(PySparkException) as refused:
        _append(spark.range(7, 9).toDF("id"), table, 1)
    assert delta_write.lost_race(refused.value)
    assert sorted(row.id for row in spark.read.format("delta").load(table).collect()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("folder", ["plain", "2013-09-01T00:00", "x: y", "a[1]", "{b}*"])
def test_a_version_that_is_the_newest_still_is_told_without_a_list_of_the_log(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    table = str(tmp_path / folder / "table")
    assert _append(spark.range(3).toDF("id"), table, 0) == 0
    log = delta_log.of(spark, table)
    # the log of a stream has thousands of files, and Delta lists them all
    unlisted = {name: getattr(log, name) for name in ("unsafeVolatileSnapshot", "logPath", "newDeltaHadoopConf")}
    monkeypatch.setattr(delta_log, "of", lambda *_: SimpleNamespace(**unlisted))
    assert delta.current_version(spark, table) == 0


def test_a_commit_that_another_process_made_is_seen(spark: SparkSession, table: str, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    shutil.copytree(table, other)
    assert _append(spark.range(3, 5).toDF("id"), other, 1) == 1
    shutil.copytree(other, table, dirs_exist_ok=True)
    assert delta.current_version(spark, table) == 1
    assert _append(spark.range(7, 9).toDF("id"), table, 1) is None


def test_another_table_in_the_same_place_is_seen(spark: SparkSession, table: str, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    assert _append(spark.range(4).toDF("id"), other, 0, app="late:two") == 0
    shutil.rmtree(table)
    shutil.copytree(other, table)
    assert delta.transactions(spark, table, prefix="late:") == {"late:two": 0}


def test_a_table_that_is_gone_has_no_version(spark: SparkSession, table: str) -> None:
    shutil.rmtree(table)
    assert delta.current_version(spark, table) == -1


def test_rows_are_replaced_beside_appends(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, looked = str(tmp_path / "table"), delta_log.newest
    for version, first in enumerate((0, 4)):
        rows = spark.range(first, first + 4, 1, 1).selectExpr("id", "'old' as name", "id % 2 as part", "'x' as extra")
        txn = Transaction(app_id=APP, version=version)
        delta_write.append_once(rows, path, txn=txn, metadata="", partition_by=("part",))

    def and_then_another(*given: Any) -> Any:
        found = looked(*given)
        monkeypatch.setattr(delta_log, "newest", looked)
        rows = spark.range(8, 9).selectExpr("id", "'old' as name", "id % 2 as part", "'x' as extra")
        delta_write.append_once(rows, path, txn=Transaction(app_id=APP, version=2), metadata="", partition_by=("part",))
        return found

    delta_upkeep.set_property(spark, path, "delta.enableDeletionVectors", "true")
    DeltaTable.forPath(spark, path).delete("id = 3")
    monkeypatch.setattr(delta_log, "newest", and_then_another)
    new = spark.createDataFrame([(1, "new", 1, 7), (9, "none", 1, 7)], "id bigint, name string, part bigint, more int")
    delta_write.replace_rows(new, path, condition="t.id = s.id and t.name = 'old'", rows=1, metadata="replayed")

    found = spark.read.format("delta").load(path).collect()
    assert sorted((row.id, row.name, row.extra, row.more) for row in found) == [
        (i, "new" if i == 1 else "old", "x", 7 if i == 1 else None) for i in range(9) if i != 3
    ]
    newest, *_ = delta.history(spark, path)
    # the file of that row was written anew, and no other
    assert (newest.version, newest.user_metadata, newest.rows_written) == (5, "replayed", 1)


def test_a_row_that_stands_for_several_replaces_none(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "table")
    spark.createDataFrame([(1, "old"), (1, "old"), (2, "old")], "id int, name string").write.format("delta").save(path)
    new = spark.createDataFrame([(1, "new"), (1, "new")], "id int, name string")

    with pytest.raises(RunError, match="rejected more than once there"):
        delta_write.replace_rows(new, path, condition="s.id = t.id", rows=2, metadata="")
    assert delta.current_version(spark, path) == 0
