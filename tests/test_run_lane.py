"""The real-time lane over a real broker and real Delta tables."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kafka import KafkaConsumer
from pyspark.sql import SparkSession

from spark_scoring.errors import ConfigError, StateError
from spark_scoring.io import delta
from spark_scoring.run import batch, check, faults, ledger, stream
from spark_scoring.run.lane import runner
from spark_scoring.run.lane import runs as lane_runs
from spark_scoring.run.lane.runner import realtime
from spark_scoring.run.runs import Span
from spark_scoring.spec.plan import Offsets, Plan
from spark_scoring.testing import KafkaBroker
from spark_scoring.watch import parity, verify
from tests.lane_world import lane_changes, lane_world
from tests.marks import slow
from tests.test_run_stream import BROKEN
from tests.world import DAY, WIDE, World, flights, make_world, package_model, record, send


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path, broker: KafkaBroker) -> World:
    return lane_world(spark, tmp_path, broker)


def run(world: World) -> list[Plan]:
    made: list[Plan] = []
    realtime(world.spark, world.job, once=True, now=now, stop=threading.Event(), progress=made.append)
    return made


def rows(world: World, broker: KafkaBroker, first: int, until: int, *, broken: Any = ()) -> None:
    send(broker, f"{world.job.name}_flights", [*[record(row) for row in flights(until)[first:]], *broken])


def read(world: World, broker: KafkaBroker) -> list[dict[str, Any]]:
    """What a reader of the topic of scores sees."""
    consumer = KafkaConsumer(
        world.job.output.topic, bootstrap_servers=broker.servers, auto_offset_reset="earliest", consumer_timeout_ms=2000
    )
    with_value = [json.loads(message.value) for message in consumer]
    consumer.close()
    return with_value


def exact(world: World) -> parity.Exact:
    return parity.exact(
        world.spark, world.job, ledger.scored_commits(world.spark, str(world.job.output.stream), job=world.job.name)
    )


def test_the_lane_lands_what_a_batch_run_scores(world: World, broker: KafkaBroker) -> None:
    rows(world, broker, 0, 60, broken=BROKEN)
    (*_, plan) = run(world)
    span = Span(start=DAY, end=DAY + timedelta(days=2), cut=timedelta(days=1))
    batch.score(world.spark, world.job, span=span, clock=now())

    def bare(side: str) -> list[dict[str, Any]]:
        kept = [row for row in world.output(side) if row["reason"] not in ("PARSE", "SCHEMA")]
        return sorted(({k: v for k, v in row.items() if k not in ("source", "raw")} for row in kept), key=str)

    landed, said = world.output("stream"), read(world, broker)
    assert repr(bare("stream")) == repr(bare("batch"))
    assert [bytes(r["raw"]) for r in landed if r["reason"] == "PARSE" and r["raw"]] == [b"{", b'{"id": "x"} {}']
    assert sorted((one["id"] or "", one["outcome"], one["score"]) for one in said if one["id"]) == sorted(
        (row["id"], row["outcome"], row["score"]) for row in landed if row["id"]
    )
    found, verdict = exact(world), verify.verify_stream(world.spark, world.job)
    assert (found.holds, found.rows, found.not_checkable) == (True, 65, ())
    assert (verdict.holds, verdict.partitions[0].records, verdict.partitions[0].waiting) == (True, 65, 0)
    assert isinstance(plan.input, Offsets) and plan.input.landed is not None and plan.input.landed.repeated == 0


@pytest.mark.slow
def test_a_row_as_large_as_its_topic_takes_is_scored_and_landed(world: World, broker: KafkaBroker) -> None:
    # of the broker's 1 MiB, and such as no compression makes much of
    noise = base64.b64encode(Random(0).randbytes(700_000)).decode()
    good, ruled, keyed = flights(3)
    given = [
        record({**good, "tail": noise}),
        record({**ruled, "tail": noise, "origin": "LAX"}),
        record({**keyed, "id": noise}),
        b'{"id": "' + b"a" * 1_047_500,
    ]
    send(broker, f"{world.job.name}_flights", given)
    run(world)

    landed, said = sorted(world.output("stream"), key=lambda row: row["source"]["offset"]), read(world, broker)
    assert [row["reason"] for row in landed] == [None, "RULE:known_origin", None, "PARSE"]
    assert [row["raw"] and bytes(row["raw"]) for row in landed] == [None, given[1], None, given[3]]
    assert [landed[0]["input"]["tail"], landed[1]["input"]["tail"], landed[2]["id"]] == [noise] * 3
    assert [one["id"] for one in said] == [good["id"], ruled["id"], None, None]
    assert verify.verify_stream(world.spark, world.job).holds and exact(world).holds


@pytest.mark.parametrize("text", ["", "[1]", '{"0": null}'])
def test_a_damaged_begin_of_the_landing_is_told(spark: SparkSession, world: World, text: str) -> None:
    assert lane_runs.landing_start(spark, world.job, {0: 7}) == {0: 7}
    begin = Path(world.job.state, "realtime", "begin.json")
    begin.write_text(text)
    with pytest.raises(StateError, match=r"begin.json is damaged"):
        lane_runs.landing_start(spark, world.job, {0: 9})
    Path(world.job.state, "realtime", ".begin.json.crc").unlink()
    begin.write_text('{"0": 3}')
    assert lane_runs.landing_start(spark, world.job, {0: 9}) == {0: 3}


@pytest.mark.slow
def test_a_damaged_checkpoint_of_the_lane_is_as_a_lost_one(world: World, broker: KafkaBroker) -> None:
    rows(world, broker, 0, 20)
    run(world)
    commits = Path(world.job.state, "realtime", "checkpoint", "commits")
    newest = max((path for path in commits.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    newest.write_text("")
    rows(world, broker, 20, 30)
    run(world)

    assert len(world.output("stream")) == 30 and verify.verify_stream(world.spark, world.job).holds


def test_what_is_scored_again_is_landed_once(
    world: World, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(world, broker, 0, 20, broken=BROKEN)
    run(world)
    forget(world)
    rows(world, broker, 20, 30)
    plans = run(world)
    again = sum(plan.input.landed.repeated for plan in plans if isinstance(plan.input, Offsets) and plan.input.landed)
    assert (again, len(read(world, broker)), len(world.output("stream"))) == (25, 60, 35)
    assert verify.verify_stream(world.spark, world.job).holds and exact(world).holds

    forget(world)
    monkeypatch.setenv(faults.WITHOUT, "repeated")
    run(world)
    verdict = verify.verify_stream(world.spark, world.job)
    assert (verdict.holds, verdict.partitions[0].doubled) == (False, 35)


def forget(world: World) -> None:
    """The lane's checkpoint as it is after a crash in its first batch."""
    for kind in ("commits", "offsets"):
        for file in Path(world.job.state, "realtime", "checkpoint", kind).iterdir():
            file.unlink()


@pytest.mark.parametrize("instant", [slow("before_commit"), "after_commit"])
def test_a_crash_of_the_landing_loses_and_doubles_nothing(
    world: World, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch, instant: str
) -> None:
    rows(world, broker, 0, 20, broken=BROKEN)
    with monkeypatch.context() as patched:
        patched.setenv(faults.FAILPOINT, f"{instant}:raise")
        faults._times.clear()
        with pytest.raises(faults.Struck):
            run(world)
    if instant == "before_commit":
        assert not delta.is_table(world.spark, str(world.job.output.stream))
    run(world)

    verdict = verify.verify_stream(world.spark, world.job)
    assert (verdict.holds, len(world.output("stream"))) == (True, 25)


def test_scores_that_never_came_to_the_topic_are_missing(world: World, broker: KafkaBroker) -> None:
    rows(world, broker, 0, 20)
    run(world)
    rows(world, broker, 20, 25)
    at = Path(world.job.state, "realtime", "checkpoint")
    for kind in ("offsets", "commits"):
        text = (at / kind / "0").read_text().replace('{"0":20}', '{"0":25}')
        (at / kind / "1").write_text(text)

    (partition,) = verify.verify_stream(world.spark, world.job).partitions
    assert (partition.holds, partition.missing, partition.waiting) == (False, 5, 5)


# two threads ask MLflow, and one may undo the silence of the other
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_tables_and_models_are_refreshed_between_runs(
    spark: SparkSession, tmp_path: Path, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_S", 0.5)
    world = lane_world(spark, tmp_path, broker, own_registry=True)
    rows(world, broker, 0, 20)
    with running(world) as made:
        until(lambda: landed(made) == 20)
        spark.createDataFrame([("N0", 999)], "tail string, seats int").write.format("delta").mode("append").save(
            world.table("planes")
        )
        package_model(spark, world.folder, strength=0.01)
        sent = 20
        while made[-1].tables["planes"] != 1 or made[-1].models[0].version != "2":
            rows(world, broker, sent, sent + 2)
            sent += 2
            until(lambda: landed(made) == sent)  # noqa: B023  # called before it changes

    verdict, found = verify.verify_stream(spark, world.job), exact(world)
    assert (verdict.holds, found.holds, found.rows, found.not_checkable) == (True, True, sent, ())
    ambiguous = [row for row in world.output("stream") if row["reason"] == "LOOKUP_AMBIGUOUS:planes"]
    assert all(int(row["id"][1:]) >= 20 for row in ambiguous)


@contextmanager
def running(world: World) -> Iterator[list[Plan]]:
    """The lane on a thread of its own; the plans that it has committed so far."""
    made: list[Plan] = []
    stop, failures = threading.Event(), []

    def target() -> None:
        try:
            realtime(world.spark, world.job, once=False, now=now, stop=stop, progress=made.append)
        except Exception as error:  # noqa: BLE001  # raised again below
            failures.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join()
    assert failures == []


def landed(made: list[Plan]) -> int:
    return sum(plan.counts.rows for plan in made if plan.counts)


def until(condition: Callable[[], bool], *, within_s: float = 90) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def test_what_cannot_run_there_is_named_before_anything_starts(
    spark: SparkSession, tmp_path: Path, broker: KafkaBroker
) -> None:
    arrow = {"champion": {"model": "models:/late@champion", "runtime": "arrow"}}
    fed = {"tables": {name: {"delta": str(tmp_path / name)} for name in WIDE["tables"]}}
    fed["tables"]["arrivals"]["feed"] = {"kafka": "landings"}  # type: ignore[assignment]
    fed["tables"]["planes"] = {"parquet": str(tmp_path / "files"), "pinned": False}  # type: ignore[dict-item]
    wide = lane_changes(tmp_path) | {"models": arrow} | fed
    world = make_world(spark, tmp_path, servers=broker.servers, **wide)
    spark.read.format("delta").load(world.table("planes")).write.parquet(str(tmp_path / "files"))
    with pytest.raises(ConfigError) as refused:
        run(world)
    report = check.check(spark, world.job)

    told = str(refused.value)
    assert "model champion: it is scored in Python workers" in told
    assert "steps[0] lookup planes" in told and "table planes is not pinned" in told
    assert "steps[2] window arrivals" in told and "table arrivals has a feed" in told
    assert [step.lane is None for step in report.steps] == [False, True, False, True]
    assert report.lane is not None and len(report.lane) == 3
    assert not Path(world.job.state).exists()


def test_too_few_slots_are_told_before_anything_starts(
    spark: SparkSession, tmp_path: Path, broker: KafkaBroker
) -> None:
    world = lane_world(spark, tmp_path, broker, partitions=2)
    with pytest.raises(ConfigError, match=r"local\[4,4\]"):
        run(world)


def test_an_output_belongs_to_one_lane(world: World, broker: KafkaBroker) -> None:
    rows(world, broker, 0, 5)
    stream.stream(world.spark, replace(world.job, lane="micro-batch"), once=True, now=now, stop=threading.Event())
    with pytest.raises(StateError, match="lane 'micro-batch'"):
        run(world)
