"""The watch commands see damage: each kind is done once to a table that was whole."""

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyspark.sql.functions as F
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from spark_scoring.io import delta
from spark_scoring.run import ledger, stream
from spark_scoring.spec.plan import Plan
from spark_scoring.testing import KafkaBroker
from spark_scoring.watch import parity, verify
from tests.world import World, flights, make_world, record, send


@pytest.fixture(scope="module")
def whole(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory, broker: KafkaBroker) -> World:
    world = make_world(spark_session, tmp_path_factory.mktemp("watch"), servers=broker.servers)
    for kind in ("flights", "arrivals"):
        broker.create_topic(f"{world.job.name}_{kind}")
    send(broker, f"{world.job.name}_flights", [record(row) for row in flights()])
    stream.stream(spark_session, world.job, once=True, now=lambda: datetime.now(UTC), stop=threading.Event())
    return world


@pytest.fixture
def scores(whole: World, spark: SparkSession) -> DeltaTable:
    """The stream's output, restored to what it was after the test before."""
    table = DeltaTable.forPath(spark, str(whole.job.output.stream))
    table.restoreToVersion(len(ledger.scored_commits(spark, str(whole.job.output.stream), job=whole.job.name)) - 1)
    return table


@pytest.fixture
def copy(whole: World, tmp_path: Path) -> World:
    """The world with a copy of the output as it was when the stream had ended."""
    output, path = str(whole.job.output.stream), tmp_path / "scores"
    commits = len(ledger.scored_commits(whole.spark, output, job=whole.job.name))
    shutil.copytree(output, path)
    for log in (path / "_delta_log").iterdir():
        version = log.name.lstrip(".").partition(".")[0]
        if version.isdigit() and int(version) >= commits:
            log.unlink()
    return replace(whole, job=replace(whole.job, output=replace(whole.job.output, stream=str(path))))


def altered(world: World, statements: Sequence[str]) -> None:
    world.spark.sql(f"create table altered using delta location '{world.job.output.stream}'")
    try:
        for statement in statements:
            world.spark.sql(f"alter table altered {statement}")
    finally:
        world.spark.sql("drop table altered")


def found(world: World) -> tuple[int, int, int, list[str]]:
    verdict = verify.verify_stream(world.spark, world.job)
    (part,) = verdict.partitions
    assert not verdict.holds
    return part.missing, part.doubled, part.unaccounted, [text.split(": ")[1] for text in verdict.broken[-1:]]


def test_a_row_that_is_gone(whole: World, scores: DeltaTable) -> None:
    scores.delete("id = 'f007'")
    assert found(whole)[:3] == (1, 0, 0)


def test_a_row_that_is_there_twice(whole: World, scores: DeltaTable) -> None:
    scores.toDF().where("id = 'f007'").write.format("delta").mode("append").save(str(whole.job.output.stream))
    assert found(whole)[:3] == (0, 1, 0)


def test_a_row_that_no_record_stands_behind(whole: World, scores: DeltaTable) -> None:
    scores.update("id = 'f007'", {"source.offset": "100000L"})
    assert found(whole)[:3] == (1, 0, 1)


@pytest.mark.parametrize("commit_id", ["'other/1/0'", "cast(null as string)"])
def test_rows_of_nobodys_commit(copy: World, commit_id: str) -> None:
    output = str(copy.job.output.stream)
    plan = delta.history(copy.spark, output)[0].user_metadata
    nobodys = copy.spark.read.format("delta").load(output).where("id = 'f007'")
    nobodys = nobodys.withColumns({"commit_id": F.expr(commit_id), "source": F.lit(None)})
    nobodys.write.format("delta").mode("append").option("userMetadata", plan or "").save(output)
    assert found(copy) == (0, 0, 0, ["1 rows in the table, 0 in the plan"])


MAINTENANCE = (
    ("set tblproperties ('delta.enableDeletionVectors' = 'true')", "drop feature deletionVectors"),
    ("set tblproperties ('delta.enableRowTracking' = 'true')",),
    ("add constraint whole check (outcome is not null)", "drop constraint whole"),
)


@pytest.mark.parametrize("statements", MAINTENANCE)
def test_maintenance_that_changes_no_row_is_no_break(copy: World, statements: tuple[str, ...]) -> None:
    altered(copy, statements)
    output = str(copy.job.output.stream)
    copy.spark.read.format("delta").load(output).limit(0).write.format("delta").mode("append").save(output)
    assert verify.verify_stream(copy.spark, copy.job).holds


def beside(monkeypatch: pytest.MonkeyPatch, path: str, commit: Callable[[], None]) -> None:
    """Let another writer commit right after the log of `path` was read."""
    read = delta.history

    def history(spark: SparkSession, of: str, newest: int | None = None) -> tuple[delta.Entry, ...]:
        log = read(spark, of, newest)
        if of == path:
            monkeypatch.undo()
            commit()
        return log

    monkeypatch.setattr(delta, "history", history)


def test_what_a_stream_commits_meanwhile_is_no_break(copy: World, monkeypatch: pytest.MonkeyPatch) -> None:
    output = str(copy.job.output.stream)
    plan = delta.history(copy.spark, output)[0].user_metadata or ""
    rows = copy.spark.read.format("delta").load(output).where("id = 'f007'")
    rows = rows.withColumn("commit_id", F.lit(f"{copy.job.name}/another/7"))

    def commit() -> None:
        rows.write.format("delta").mode("append").option("userMetadata", plan).save(output)

    beside(monkeypatch, output, commit)
    assert verify.verify_stream(copy.spark, copy.job).holds
    assert found(copy)[:2] == (0, 1)


def test_a_table_that_was_made_anew_under_its_stream(copy: World) -> None:
    output = str(copy.job.output.stream)
    newest = delta.history(copy.spark, output)[0]
    commit_id = Plan.parse(newest.user_metadata).commit_id  # type: ignore[union-attr] # the stream's own
    rows = copy.spark.read.format("delta").load(output).where(F.col("commit_id") == commit_id).localCheckpoint()
    shutil.rmtree(output)
    rows.write.format("delta").option("userMetadata", newest.user_metadata or "").save(output)
    (broken,) = verify.verify_stream(copy.spark, copy.job).broken
    assert broken.startswith(f"{commit_id}: no commit of its generation before it is in the log")


def test_a_column_that_is_gone(copy: World) -> None:
    altered(copy, ("set tblproperties ('delta.columnMapping.mode' = 'name')", "drop column label"))
    (broken,) = verify.verify_stream(copy.spark, copy.job).broken
    assert broken.endswith("DROP COLUMNS changed data and carries no plan")


def test_a_score_that_was_changed(whole: World, scores: DeltaTable) -> None:
    commits = parity.commits_of(whole.spark, whole.job, last=None)
    assert parity.exact(whole.spark, whole.job, commits).different == 0
    scores.update("id = 'f007'", {"score": "score + 1e-16D"})
    scores.update("id = 'f009'", {"features.temp": "-0.0D"})

    again = parity.exact(whole.spark, whole.job, commits)
    assert (again.different, dict(again.columns)) == (2, {"score": 1, "features": 1})


def test_a_version_that_is_gone_is_not_checkable(whole: World, scores: DeltaTable, tmp_path: Path) -> None:
    commits = parity.commits_of(whole.spark, whole.job, last=None)
    for log in Path(whole.table("planes"), "_delta_log").iterdir():
        log.rename(tmp_path / log.name)
    exact = parity.exact(whole.spark, whole.job, commits)
    for log in tmp_path.iterdir():
        log.rename(Path(whole.table("planes"), "_delta_log", log.name))

    assert (exact.commits, [name for name, _ in exact.not_checkable]) == (0, [c.plan.commit_id for c in commits])
