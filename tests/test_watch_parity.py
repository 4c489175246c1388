"""Exact parity over all that a job's file, its models and its topics may become after a commit."""

import copy
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_scoring import Job
from spark_scoring.errors import RunError
from spark_scoring.models.flavor import resolve
from spark_scoring.run import generation, ledger, stream
from spark_scoring.spec.plan import Plan
from spark_scoring.testing import KafkaBroker
from spark_scoring.watch import parity
from spark_scoring.watch.explain import Asked, explain
from tests import world as worlds
from tests.world import FEATURES, WIDE, World, flights, job_mapping, make_world, package_model, record, send

BROKEN = [None, b"{", b'{"id": "t1", "origin": "EWR", "at": 1378000000}', b'{"id": "t2", "origin": "EWR"}']
CHAMPION, CHALLENGER = "models:/late@champion", "models:/late@challenger"

Make = Callable[..., World]


@pytest.fixture
def make(spark: SparkSession, tmp_path: Path, broker: KafkaBroker) -> Make:
    """A world without feeds, with a registry of its own and a topic; its keys of the job may be changed."""

    def made(**changes: Any) -> World:
        unfed = {name: {"delta": str(tmp_path / name)} for name in WIDE["tables"]}
        world = make_world(spark, tmp_path, servers=broker.servers, own_registry=True, tables=unfed, **changes)
        broker.create_topic(f"{world.job.name}_flights")
        return world

    return made


def with_job(world: World, **changes: Any) -> World:
    """The same tables, with a job that was changed."""
    mapping = job_mapping(world.folder, name=world.job.name, servers=str(world.job.kafka and world.job.kafka.servers))
    mapping["tables"] = {name: {"delta": world.table(name)} for name in WIDE["tables"]}
    job = Job.unpack({**mapping, **changes}, {}, source="job.yaml")
    return World(spark=world.spark, folder=world.folder, job=job)


def kept(world: World, *names: str) -> dict[str, Any]:
    return {"batch": world.table("scores"), "stream": world.table("scores_stream"), "keep": list(names)}


def run(world: World, broker: KafkaBroker, first: int, until: int, *, broken: bool = False, **watched: Any) -> None:
    values = [*[record(row) for row in flights(until)[first:]], *(BROKEN if broken else [])]
    send(broker, f"{world.job.name}_flights", values)
    stream.stream(world.spark, world.job, once=True, now=lambda: datetime.now(UTC), stop=threading.Event(), **watched)


def exact(world: World) -> parity.Exact:
    return parity.exact(world.spark, world.job, parity.commits_of(world.spark, world.job, last=None))


def late(world: World) -> parity.Late:
    return parity.late(world.spark, world.job, parity.commits_of(world.spark, world.job, last=None))


def said(found: parity.Exact) -> tuple[int, int, dict[str, int], tuple[tuple[str, str], ...]]:
    return found.rows, found.different, dict(found.columns), found.not_checkable


@pytest.mark.slow
def test_models_in_several_roles_whatever_the_job_says_now(make: Make, broker: KafkaBroker) -> None:
    world = make()
    package_model(world.spark, world.folder, alias="challenger", strength=0.01)
    package = resolve(CHALLENGER, registry=str(world.job.registry), cache_dir=world.folder / "cache")
    folder = str(shutil.copytree(package.path, world.folder / "shadow"))
    shadows = [CHALLENGER, "models:/late/2", CHAMPION]

    def models(share: float) -> dict[str, Any]:
        return {"champion": CHAMPION, "challenger": {"model": CHALLENGER, "share": share}, "shadow": shadows}

    def from_folder(world: World) -> World:
        """The second shadow was never registered; Python alone can say so."""
        refs = [replace(ref, uri=folder) if ref.uri == shadows[1] else ref for ref in world.job.models]
        return replace(world, job=replace(world.job, models=tuple(refs), trust=(folder,)))

    world = from_folder(with_job(world, models=models(0.5)))
    run(world, broker, 0, 30, broken=True)
    rows, (commit,) = world.output("stream"), parity.commits_of(world.spark, world.job, last=None)
    roles = ["champion", "challenger", "shadow", "shadow", "shadow"]
    digests = {pin.version: pin.digest[:12] for pin in commit.plan.models}
    versions = ["1", "2", "2", digests["2"], "1"]
    assert {row["role"] for row in rows} == {"champion", "challenger", None}
    assert [(pin.role, pin.version) for pin in commit.plan.models] == list(zip(roles, versions, strict=True))
    assert [pin.share for pin in commit.plan.models] == [None, 0.5, None, None, None]

    topic = {"stream": {"kafka": f"{world.job.name}_flights", "time_unit": "s", "unknown": "reject"}}
    for now in (
        world,
        with_job(world, models=models(0.1)),
        with_job(world, models={"champion": CHALLENGER, "shadow": shadows[1:2]}),
        with_job(world, models=models(0.5), rows=topic, output=kept(world, "input")),
    ):
        assert said(exact(from_folder(now))) == (34, 0, {}, ())


def packaged(world: World, features: list[str], monkeypatch: pytest.MonkeyPatch, **rows: str) -> None:
    """A new champion that reads other features, and rows with more columns."""
    mapping: dict[str, Any] = copy.deepcopy(WIDE)
    mapping["rows"]["columns"] |= rows
    flights_table = world.spark.read.format("delta").load(world.table("flights"))
    for name, kind in rows.items():
        flights_table = flights_table.withColumn(name, F.lit(None).cast(kind))
    flights_table = flights_table.localCheckpoint()
    flights_table.write.format("delta").mode("overwrite").option("mergeSchema", True).save(world.table("flights"))
    with monkeypatch.context() as patched:
        patched.setattr(worlds, "FEATURES", features)
        package_model(world.spark, world.folder, mapping=mapping, strength=0.3)


def test_a_version_with_other_features_and_row_columns(
    make: Make, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make()
    run(world, broker, 0, 6)
    packaged(world, [FEATURES[0], *reversed(FEATURES[1:])], monkeypatch)
    run(world, broker, 6, 12)
    packaged(world, ["origin", "miles", "temp"], monkeypatch, note="string")
    run(world, broker, 12, 18)

    assert said(exact(world)) == (18, 0, {}, ())
    table = DeltaTable.forPath(world.spark, world.table("scores_stream"))
    table.update("id = 'f001'", {"features.temp": "-0.0D"})
    table.update("id = 'f002'", {"features.miles": "1.5D"})
    table.update("id = 'f013'", {"features": "null"})
    table.update("id = 'f014'", {"features.seats": "0"})
    assert said(exact(world)) == (18, 4, {"features": 4}, ())


def test_a_table_made_anew_under_a_running_stream(make: Make, broker: KafkaBroker) -> None:
    world = make(kafka={"servers": broker.servers, "max_rows_per_batch": 6})
    planes = world.spark.read.format("delta").load(world.table("planes")).localCheckpoint()

    def make_anew(plan: Plan) -> None:
        if plan.commit_id.endswith("/0"):
            shutil.rmtree(world.table("planes"))
            planes.withColumn("seats", F.col("seats") + 1000).write.format("delta").save(world.table("planes"))

    run(world, broker, 0, 12, progress=make_anew)
    seats = [row["features"]["seats"] for row in world.output("stream") if row["features"]]
    first, _ = parity.commits_of(world.spark, world.job, last=None)

    found = exact(world)
    assert {value > 1000 for value in seats if value} == {False, True}
    assert (found.rows, found.different, [name for name, _ in found.not_checkable]) == (6, 0, [first.plan.commit_id])
    assert "made anew" in found.not_checkable[0][1]


def test_a_version_whose_files_are_gone_ends_nothing(make: Make, broker: KafkaBroker) -> None:
    world = make()
    run(world, broker, 0, 6)
    world.outdate("planes")
    run(world, broker, 6, 12)
    first, _ = parity.commits_of(world.spark, world.job, last=None)
    gone, asked = "planes: version 0 cannot be read any more", Asked(key="f001", time=flights(2)[1]["at"])

    found = exact(world)
    assert (found.rows, found.different, [name for name, _ in found.not_checkable]) == (6, 0, [first.plan.commit_id])
    assert gone in found.not_checkable[0][1]
    with pytest.raises(RunError, match=gone):
        explain(world.spark, world.job, asked, clock=datetime.now(UTC), stream=True)


@pytest.mark.slow
def test_the_same_files_under_another_version(make: Make, broker: KafkaBroker) -> None:
    world = make()
    run(world, broker, 0, 6)
    registry = world.job.registry
    client = mlflow.MlflowClient(tracking_uri=registry, registry_uri=registry)
    copied = client.copy_model_version("models:/late/1", "late")
    client.set_registered_model_alias("late", "champion", copied.version)
    run(world, broker, 6, 12)

    assert {row["model_version"] for row in world.output("stream")} == {"1", "2", None}
    assert said(exact(world)) == (12, 0, {}, ())


@pytest.mark.slow
def test_a_topic_that_was_created_again(make: Make, broker: KafkaBroker) -> None:
    world = make()
    run(world, broker, 0, 6)
    topic = f"{world.job.name}_flights"
    broker.delete_topic(topic)
    broker.create_topic(topic)
    consent = generation.Consent(by="me", at="now", new_topic=True, reason="x")
    generation.recover(world.spark, world.job, consent=consent)
    run(world, broker, 20, 26)

    found = late(world)
    assert said(exact(world)) == (12, 0, {}, ())
    assert (found.rows, found.any_feature) == (10, 0)


def test_every_column_of_a_row_is_compared(make: Make, broker: KafkaBroker) -> None:
    world = make()
    run(world, broker, 0, 12)
    table = DeltaTable.forPath(world.spark, world.table("scores_stream"))
    changes: Mapping[str, Mapping[str, str]] = {
        "id": {"id": "'other'"},
        "event_time": {"event_time": "event_time + interval 1 microsecond"},
        "label": {"label": "null"},
        "model": {"model": "'other'"},
        "model_version": {"model_version": "'7'"},
        "role": {"role": "'challenger'"},
        "reason": {"reason": "'SCHEMA'"},
        "reason_detail": {"reason_detail": "''"},
        "scores": {"scores": "array()"},
    }
    for change in changes.values():
        table.update("source.offset = 4", dict(change))
    found = said(exact(world))
    assert found == (12, 1, dict.fromkeys(changes, 1), ())


@pytest.mark.slow
def test_rows_without_features_are_compared_by_all_else(make: Make, broker: KafkaBroker) -> None:
    world = make()
    world = with_job(world, output=kept(world, "input"))
    run(world, broker, 0, 6)
    assert said(exact(world)) == (6, 0, {}, ())
    planes = DeltaTable.forPath(world.spark, world.table("planes"))
    planes.update(set={"seats": "1000"})
    found = late(world)
    assert (found.rows, found.features, found.share) == (5, (), found.score / 5)
    assert found.score > 0

    # features from here on, and then no rows
    world = with_job(world, output=kept(world, "input", "features"))
    run(world, broker, 6, 12)
    assert said(exact(world)) == (12, 0, {}, ())
    assert late(world).rows == 11
    world = with_job(world, output=kept(world))
    run(world, broker, 12, 18)
    rows, different, _, skipped = said(exact(world))
    commits = ledger.scored_commits(world.spark, world.table("scores_stream"), job=world.job.name)
    assert (rows, different, [name for name, _ in skipped]) == (12, 0, [commits[-1].plan.commit_id])
    assert late(world).rows == 11


def test_a_table_without_rows_says_so(make: Make, broker: KafkaBroker) -> None:
    world = make()
    world = with_job(world, output=kept(world, "features"))
    run(world, broker, 0, 6)
    for check in (exact, late):
        with pytest.raises(RunError, match="written without the rows themselves"):
            check(world)
