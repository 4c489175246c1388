"""Every command on a small job written as YAML: what it does, and what it prints."""

from pathlib import Path

import pytest
import skops.io
from pyspark.sql import SparkSession
from sklearn.linear_model import LogisticRegression

from spark_scoring import to_pandas
from spark_scoring.testing import KafkaBroker
from tests.cli_calls import DAYS, DROP, Caller, assert_refused, job_file
from tests.world import FEATURES, HOLES, World, flights, record, send


@pytest.fixture(scope="module")
def world(cli_world: World) -> World:
    return cli_world


def test_a_job_from_end_to_end(world: World, broker: KafkaBroker, call: Caller, tmp_path: Path) -> None:
    file, training = job_file(world, {}), tmp_path / "training"
    report = call.json("check", file)
    assert [step["table"] for step in report["steps"]] == ["planes", "weather", "arrivals", ""]

    widened = call.json("widen", file, *DAYS, "--out", training, "--wide", world.folder / "wide.yaml")
    assert (widened["rows"], widened["rejected"]) == (56, [["RULE:known_origin", 4]])

    rows = to_pandas(world.spark.read.format("delta").load(str(training)).fillna(HOLES).toArrow())
    model = LogisticRegression(max_iter=1000).fit(rows[FEATURES[1:]], rows["miles"].fillna(0) > 130)
    skops.io.dump(model, tmp_path / "model.skops")
    packaged = call.json(
        "package", "--wide", world.folder / "wide.yaml", "--model", tmp_path / "model.skops", "--sample", training,
        "--name", "second", "--registry", world.job.registry, "--alias", "champion",
    )  # fmt: skip
    assert (packaged["model"], packaged["version"], packaged["alias"]) == ("second", "1", "champion")
    assert (packaged["runtime"], packaged["why"]) == ("sklearn", "a fitted LogisticRegression")

    scored = call.json("score", file, *DAYS)
    assert (scored["commits"], scored["in"], scored["scored"], scored["rejected"]) == (2, 60, 56, 4)

    send(broker, f"{world.job.name}_flights", [record(row) for row in flights()])
    streamed = call("stream", file, "--once")
    assert (streamed.code, streamed.out) == (0, "")
    assert sum(line.startswith(f"{world.job.name}/") for line in streamed.err.splitlines()) == 2

    status = call.json("status", file)
    assert (status["waiting"], status["stream"]["scored"], status["stream"]["commits"]) == (0, 56, 2)
    assert status["stream"]["reasons"] == [["RULE:known_origin", 4]] and status["stream"]["rows_per_s"] > 0
    assert call.json("verify", file)["stream"]["holds"]
    assert call.json("parity", file)["exact"]["different"] == 0
    taken = call.json("recover", file)
    assert sum(taken["offsets"][f"{world.job.name}_flights"].values()) == 60, taken
    for command in (("check",), ("status",), ("verify",), ("parity", "--last", "1")):
        said = call(command[0], file, *command[1:])
        assert said.code == 0 and said.out.strip() and max(len(line) for line in said.out.splitlines()) <= 120
        assert said.err == ""


def test_what_stops_a_micro_batch_is_said_once(world: World, broker: KafkaBroker, call: Caller, tmp_path: Path) -> None:
    name = f"{world.job.name}_brake"
    changes = {
        "name": name,
        "rows.stream.kafka": name,
        "stop_when": {"rejected_share": 0.01},
        "kafka.start": "earliest",
    }
    changes |= {
        "output.stream": str(tmp_path / "scores"),
        "state": str(tmp_path / "state"),
        "tables.arrivals.feed": DROP,
    }
    broker.create_topic(name)
    send(broker, name, [record(row) for row in flights()])
    said = call("stream", job_file(world, changes, name="brake.yaml"), "--once")
    *commits, last = said.err.splitlines()
    assert said.code == 1 and "3 of 40 rows were rejected, more than stop_when.rejected_share 0.01" in last
    assert [line.split(": ", 1)[1] for line in commits if line.startswith(name)] == []


def test_an_output_with_another_type_is_refused(world: World, call: Caller, tmp_path: Path) -> None:
    file = job_file(world, {"output.batch": str(tmp_path / "a"), "state": str(tmp_path / "state")}, name="typed.yaml")
    call.json("score", file, *DAYS)
    scores = world.spark.read.format("delta").load(str(tmp_path / "a"))
    scores = scores.withColumn(
        "features", scores["features"].withField("seats", scores["features.seats"].cast("string"))
    )
    scores.write.format("delta").partitionBy("event_date").save(str(tmp_path / "b"))
    changed = {"output.batch": str(tmp_path / "b"), "state": str(tmp_path / "other")}
    said = call("score", job_file(world, changed, name="typed.yaml"), *DAYS)
    assert_refused(said, code=1, message="column 'features.seats' is string in the table, and would be int now")
    assert not (tmp_path / "other").exists()


def test_an_unforeseen_error_is_one_line(world: World, call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    from spark_scoring.io import sources

    def broken(spark: SparkSession, *_: object, **__: object) -> None:
        spark.sql("select raise_error('first\nsecond')").collect()

    monkeypatch.setattr(sources, "pin", broken)
    file = job_file(world, {"state": world.table("other_state")}, name="unfit.yaml")
    assert_refused(call("score", file, *DAYS), code=1, message="the run failed: [USER_RAISED_EXCEPTION] first. Remove")
    assert "Traceback" in call("--debug", "score", file, *DAYS).err


def test_explain_says_it_to_machines_and_refuses_what_is_not_there(world: World, call: Caller) -> None:
    at = flights()[10]["at"].isoformat()
    found = call.json("explain", job_file(world, {}), "f010", at)
    assert [step["kind"] for step in found["steps"]] == ["lookup", "as_of", "window", "columns"]
    assert found["steps"][1]["match"] | {"age": None} == {
        "found": "hit", "time": "2013-09-01T07:00:00Z", "age": None, "known_at": None, "newest": "2013-09-01T07:00:00Z",
    }  # fmt: skip
    assert (found["outcome"], set(found["models"][0]["features"])) == ("scored", set(FEATURES))
    assert_refused(call("explain", job_file(world, {}), "f010", DAYS[1]), code=1, message="no row with id=f010 at")
    assert_refused(call("explain", job_file(world, {}), "tail=N1", at), code=2, message="Allowed: id=VALUE")
