"""Feeds: fed tables lie in the order of their key and time, in few files, whatever was appended how often."""

import json
import logging
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import Row, SparkSession

from spark_scoring import WideTable
from spark_scoring.io import delta, delta_log, delta_upkeep
from spark_scoring.run import feeds, stream, upkeep
from spark_scoring.run.feeds import Feed
from spark_scoring.spec.job import Topic
from spark_scoring.spec.wide import Table
from spark_scoring.testing import KafkaBroker, Record, produce
from spark_scoring.watch import verify
from tests.marks import slow
from tests.world import DAY, WIDE, World, arrivals, flights, make_world, record, send

ROUNDS = 5
EVERY = 2


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path, broker: KafkaBroker) -> World:
    made = make_world(spark, tmp_path, servers=broker.servers)
    for kind in ("flights", "arrivals"):
        broker.create_topic(f"{made.job.name}_{kind}", partitions=2)
    return made


def feed_of(world: World) -> Feed:
    (feed,) = feeds.feeds_of(world.spark, world.job, WideTable.unpack(WIDE))
    return feed


def detail(world: World) -> Row:
    row = DeltaTable.forPath(world.spark, world.table("arrivals")).detail().first()
    assert row is not None
    return row


def landings(part: int) -> list[dict[str, object]]:
    return [
        {"origin": ("JFK", "EWR")[i % 2], "landed": DAY + timedelta(hours=30 + part, minutes=-i), "delay": float(i)}
        for i in range(8)
    ]


def run_rounds(world: World, broker: KafkaBroker, *, rounds: int = ROUNDS) -> None:
    for part in range(rounds):
        send(broker, f"{world.job.name}_arrivals", [record(row) for row in landings(part)])
        send(broker, f"{world.job.name}_flights", [record(row) for row in flights(12)[part * 2 : part * 2 + 2]])
        stream.stream(world.spark, world.job, once=True, now=lambda: datetime.now(UTC), stop=threading.Event())


def actions(world: World, version: int, kind: str) -> list[dict[str, object]]:
    text = Path(world.table("arrivals"), "_delta_log", f"{version:020d}.json").read_text()
    return [found[kind] for found in map(json.loads, text.splitlines()) if kind in found]


@pytest.mark.slow
def test_appends_stay_few_files_in_order_and_verify_holds(
    world: World, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "EVERY", EVERY)
    run_rounds(world, broker)

    log = delta.history(world.spark, world.table("arrivals"))
    appends = [entry.version for entry in log if entry.operation == "WRITE" and entry.version > 0]
    compactions = [entry.version for entry in log if entry.operation == "OPTIMIZE"]
    rows = world.spark.read.format("delta").load(world.table("arrivals")).collect()
    (feed,) = verify.verify_stream(world.spark, world.job).feeds

    assert list(detail(world)["clusteringColumns"]) == ["origin", "landed"]
    assert len(appends) == ROUNDS and len(compactions) >= ROUNDS // EVERY and detail(world)["numFiles"] <= EVERY + 1
    assert all(len(actions(world, version, "add")) == 1 for version in appends)
    assert not any(add["dataChange"] for version in compactions for add in actions(world, version, "add"))
    expected = [*arrivals(), *(row for part in range(ROUNDS) for row in landings(part))]
    assert sorted(map(str, rows)) == sorted(str(Row(**{**row, "landed": naive(row["landed"])})) for row in expected)
    assert (feed.holds, feed.records, feed.rows) == (True, ROUNDS * 8, ROUNDS * 8)
    assert verify.verify_stream(world.spark, world.job).holds and not caplog.records


def naive(moment: object) -> datetime:
    assert isinstance(moment, datetime)
    return moment.astimezone().replace(tzinfo=None)


def test_an_appended_file_is_sorted(world: World, broker: KafkaBroker) -> None:
    run_rounds(world, broker, rounds=1)
    (add,) = actions(world, detail_version(world), "add")
    rows = world.spark.read.parquet(f"{world.table('arrivals')}/{add['path']}").collect()

    assert len(rows) == 8
    assert [(row["origin"], row["landed"]) for row in rows] == sorted((row["origin"], row["landed"]) for row in rows)


def detail_version(world: World) -> int:
    return delta.current_version(world.spark, world.table("arrivals"))


def test_upkeep_that_fails_is_told_once_and_stops_nothing(
    world: World, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "EVERY", 1)
    monkeypatch.setattr(upkeep, "MOST_BYTES", 0)
    caplog.set_level(logging.WARNING, logger="spark_scoring")
    send(broker, f"{world.job.name}_arrivals", [record(row) for row in landings(0) for _ in range(12)])
    run_rounds(world, broker, rounds=1)

    warned = [found.getMessage() for found in caplog.records]
    reason = "no upkeep: 0.0 GiB is too much beside a stream; run OPTIMIZE on it once"
    assert sorted(warned) == [f"arrivals: {reason}", f"the output: {reason}"]
    assert verify.verify_stream(world.spark, world.job).holds


@pytest.mark.parametrize("side", ["output", slow("fed")])
def test_a_change_of_the_table_beside_a_commit_is_tried_again(
    world: World, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    run_rounds(world, broker, rounds=1)
    path = str(world.job.output.stream) if side == "output" else world.table("arrivals")
    left, asked = [3, 2, 1], delta_log.transactions

    def changed_after(spark: SparkSession, snapshot: Any) -> dict[str, int]:
        found = asked(spark, snapshot)
        if left and snapshot.path().toString().startswith(f"file:{path}/"):
            delta_upkeep.set_property(spark, path, "test.left", str(left.pop()))
        return found

    monkeypatch.setattr(delta_log, "transactions", changed_after)
    run_rounds(world, broker, rounds=1)

    verdict = verify.verify_stream(world.spark, world.job)
    assert (left, verdict.holds, len(world.output("stream")), verdict.feeds[0].rows) == ([], True, 4, 16)


def test_verify_tells_what_others_changed(world: World, broker: KafkaBroker) -> None:
    send(broker, f"{world.job.name}_arrivals", [b"no record"])
    run_rounds(world, broker, rounds=1)
    DeltaTable.forPath(world.spark, world.table("arrivals")).delete("origin = 'EWR'")
    (feed,) = verify.verify_stream(world.spark, world.job).feeds
    assert (feed.holds, feed.others) == (True, (f"version {detail_version(world)}: DELETE",))

    DeltaTable.forPath(world.spark, feeds.rejected_of(world.job)).delete()
    (feed,) = verify.verify_stream(world.spark, world.job).feeds
    assert (feed.holds, feed.broken) == (False, ("feed_rejected, version 1: DELETE",))


@pytest.mark.parametrize(
    ("how", "kind", "kept"),
    [
        ("partitioned by (origin)", "partitionColumns", ["origin"]),
        ("cluster by (landed)", "clusteringColumns", ["landed"]),
    ],
)
def test_a_table_that_lies_otherwise_is_left_so(world: World, how: str, kind: str, kept: list[str]) -> None:
    path, name = str(world.folder / "other"), f"other_{world.job.name}"
    columns = "origin string, landed timestamp, delay double"
    world.spark.sql(f"create table {name} ({columns}) using delta {how} location '{path}'")
    feeds.claim(world.spark, world.job, other(world, path))
    found = DeltaTable.forPath(world.spark, path).detail().first()
    world.spark.sql(f"drop table {name}")

    assert found is not None and list(found[kind]) == kept
    assert delta_upkeep.layout(world.spark, path).properties[feeds.OWNER] == world.job.name


def other(world: World, path: str) -> Feed:
    known = feed_of(world)
    return Feed(table=known.table, topic=known.topic, path=path, order=known.order)


def test_a_table_that_cannot_be_clustered_is_fed_all_the_same(world: World, caplog: pytest.LogCaptureFixture) -> None:
    path = str(world.folder / "unknown")
    world.spark.sql(
        f"create table u_{world.job.name} (origin string, landed timestamp) using delta location '{path}' "
        "tblproperties ('delta.dataSkippingNumIndexedCols' = '0')"
    )
    feeds.claim(world.spark, world.job, other(world, path))
    world.spark.sql(f"drop table u_{world.job.name}")

    (warned,) = [found.getMessage() for found in caplog.records]
    assert warned.startswith("arrivals: not clustered by origin, landed: [DELTA_CLUSTERING_COLUMN")


def test_a_second_claim_changes_nothing(world: World) -> None:
    for _ in range(2):
        feeds.claim(world.spark, world.job, feed_of(world))
        version = detail_version(world)
    assert version == 2


def test_the_order_is_the_key_of_the_first_step_then_the_time() -> None:
    columns = dict.fromkeys("abcde", "string") | {"at": "timestamp", "flag": "boolean", "x": "double"}
    on = {"f": "flag", "a": "a", "b": "b", "c": "c", "d": "d"}
    steps = [
        {"window": "t", "on": on, "last": "1h", "take": {"n": "count(*)"}},
        {"as_of": "t", "on": ["e"], "take": ["x"]},
    ]  # fmt: skip
    rows = {"key": ["a"], "time": "at", "columns": {**columns, "f": "boolean", "at": "timestamp not null"}}
    rows["columns"].pop("x")
    wide = WideTable.unpack(
        {"name": "w", "rows": rows, "tables": {"t": {"time": "at", "columns": columns}}, "steps": steps}
    )
    assert feeds.order_of(wide, wide.table("t")) == ("a", "b", "c", "at")
    nobody = Table(name="u", columns={"at": "timestamp"}, time="at")
    assert feeds.order_of(wide, nobody) == ("at",)


def test_large_appends_are_a_file_for_each_part(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "ROWS_A_FILE", 100)
    table = Table(name="t", columns={"k": "bigint", "at": "timestamp"}, time="at")
    feed = Feed(table=table, topic=Topic(topic="t"), path="", order=("k", "at"))
    frame = spark.range(350).selectExpr("pmod(id * 7919, 350) as k", "timestamp_seconds(id) as at")

    parts = feeds._in_order(frame, feed, records=350).rdd.glom().map(lambda part: [row["k"] for row in part]).collect()
    assert len(parts) == 4 and [key for part in parts for key in part] == list(range(350))


def test_what_is_whole_is_not_written_again(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "t")
    for setting in delta_upkeep._ASIDE:
        if setting.endswith(("threshold", "CubeSize", "minFileSize")):
            monkeypatch.setitem(delta_upkeep._ASIDE, setting, "1")

    def append(start: int) -> None:
        frame = spark.range(start, start + 100).selectExpr("id as k", "timestamp_seconds(id) as at")
        frame.repartition(1).write.format("delta").mode("append").save(path)

    append(0)
    delta_upkeep.cluster_by(spark, path, ("k", "at"))
    append(100)
    delta_upkeep.compact(spark, path)
    first = set(spark.read.format("delta").load(path).inputFiles())
    append(200)
    waiting = delta_upkeep.bytes_to_compact(spark, path)
    delta_upkeep.compact(spark, path)

    after = spark.read.format("delta").load(path)
    assert first < set(after.inputFiles()) and waiting > 0 and delta_upkeep.bytes_to_compact(spark, path) == 0
    assert after.count() == 300


def spans_of(world: World) -> dict[str, list[int]]:
    """The ranges of the feed's topic that its newest append says."""
    log = delta.history(world.spark, world.table("arrivals"))
    said = next(about for entry in log if (about := feeds.about_of(entry.user_metadata, "arrivals")))
    (spans,) = said["offsets"].values()
    return dict(spans)


def append_by_feed(world: World, spans: dict[str, list[int]], *, topic_id: str) -> None:
    """What a feed of the job appends: one record of each partition's range."""
    about = {
        "format": 1, "commit_id": f"{world.job.name}/another/1", "feed": "arrivals", "topic_id": topic_id,
        "offsets": {f"{world.job.name}_arrivals": spans},
    }  # fmt: skip
    path = world.table("arrivals")
    frame = world.spark.read.format("delta").load(path).limit(len(spans))
    frame.write.format("delta").mode("append").option("userMetadata", json.dumps(about)).save(path)


def test_what_a_feed_appends_meanwhile_is_no_break(world: World, broker: KafkaBroker) -> None:
    """Of a micro-batch under way: its good records are there, the bad ones and the scores not yet."""
    run_rounds(world, broker, rounds=1)
    topic, spans = f"{world.job.name}_arrivals", {p: [end, end] for p, (_, end) in spans_of(world).items()}
    at = produce(broker.servers, topic, [Record(key=b"same", value=b"{")] * 3)[-1]
    spans[str(at.partition)][1] = at.offset + 1
    append_by_feed(world, spans, topic_id=broker.topic_id(topic))
    verdict = verify.verify_stream(world.spark, world.job)
    assert (verdict.holds, verdict.feeds[0].records, verdict.feeds[0].rows) == (True, 8, 8)


def test_verify_tells_that_a_fed_table_was_made_anew(world: World, broker: KafkaBroker, tmp_path: Path) -> None:
    before = shutil.copytree(world.table("arrivals"), tmp_path / "before")
    run_rounds(world, broker, rounds=2)
    read = spans_of(world)
    shutil.rmtree(world.table("arrivals"))
    lost = {f"records 0 to {end} of partition {p} are not in the log of arrivals" for p, (_, end) in read.items()}
    (gone,) = verify.verify_stream(world.spark, world.job).feeds
    shutil.copytree(before, world.table("arrivals"))
    append_by_feed(world, read, topic_id=broker.topic_id(f"{world.job.name}_arrivals"))
    (swapped,) = verify.verify_stream(world.spark, world.job).feeds

    assert (gone.holds, set(gone.broken)) == (False, lost | {"arrivals: no table is there"})
    lost = {one.replace(f" {read[p][1]} ", f" {read[p][0]} ") for p in read for one in lost if f"partition {p} " in one}
    assert (swapped.holds, set(swapped.broken)) == (False, lost)
