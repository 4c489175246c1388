"""Every command on a small job written as YAML: what it does, what it prints, and how it refuses."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pytest
import skops.io
import yaml
from click.testing import CliRunner
from pyspark.sql import SparkSession
from sklearn.linear_model import LogisticRegression

from spark_scoring import to_pandas
from spark_scoring.cli import cli, main
from spark_scoring.testing import KafkaBroker
from spark_scoring.testing.broker import free_port
from tests.world import FEATURES, HOLES, WIDE, World, flights, job_mapping, make_world, record, send

COMMANDS = (
    "check", "widen", "package", "export", "score", "stream", "parity", "verify", "status", "explain",
    "recover", "replay",
)  # fmt: skip
DAYS = ("--from", "2013-09-01", "--to", "2013-09-03")
DROP = object()


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def world(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory, broker: KafkaBroker) -> World:
    made = make_world(spark_session, tmp_path_factory.mktemp("world"), servers=broker.servers, own_registry=True)
    for kind in ("flights", "arrivals"):
        broker.create_topic(f"{made.job.name}_{kind}", partitions=2)
    (made.folder / "wide.yaml").write_text(yaml.safe_dump(WIDE, sort_keys=False))
    return made


class Caller:
    """Runs commands as a user would, in this process and on the session of the tests."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd

    def __call__(self, *words: str | Path) -> Said:
        self.capfd.readouterr()
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self.capfd.readouterr()
        return Said(code=code, out=out, err=err)

    def json(self, *words: str | Path) -> dict[str, Any]:
        """The one object that a command prints with `--json`."""
        said = self(*words, "--json")
        assert said.code == 0, said.err
        found: dict[str, Any] = json.loads(said.out)
        assert said.out.count("\n") == 1
        return found


@pytest.fixture
def call(spark: SparkSession, capfd: pytest.CaptureFixture[str]) -> Iterator[Caller]:
    yield Caller(capfd)
    assert SparkSession.getActiveSession() is spark


def job_file(world: World, changes: Mapping[str, Any], *, name: str = "job.yaml") -> Path:
    """The job as YAML with changes by dotted path, or without what is `DROP`."""
    assert world.job.kafka is not None
    mapping = job_mapping(world.folder, name=world.job.name, servers=world.job.kafka.servers)
    mapping["registry"] = world.job.registry
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = mapping
        for parent in parents:
            place = place[parent]
        if value is DROP:
            del place[last]
        else:
            place[last] = value(world) if callable(value) else value
    file = world.folder / name
    file.write_text(yaml.safe_dump(mapping, sort_keys=False))
    return file


def tree(folder: Path) -> set[str]:
    """All files but the copies of models, which any command may fetch."""
    return {str(p) for p in folder.rglob("*") if p.is_file() and "spark-scoring-packages" not in p.parts}


def assert_refused(said: Said, *, code: int, message: str) -> None:
    lines = said.err.strip().splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert (said.code, len(errors), said.out) == (code, 1, ""), said.err
    assert message in errors[0]
    assert "Traceback" not in said.err and "\tat " not in said.err and "java." not in said.err
    assert all(line.startswith("error: ") or " WARNING " in line for line in lines), said.err


def test_each_command_has_help_with_an_example() -> None:
    assert set(COMMANDS) == set(cli.commands)
    for name in COMMANDS:
        shown = CliRunner().invoke(cli, [name, "--help"])
        assert shown.exit_code == 0 and f"Example:  spark-scoring {name} " in shown.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Missing command. See 'spark-scoring --help'."),
        (("scoer",), "No such command 'scoer'"),
        (("score", "--frm", "2013"), "No such option '--frm'"),
        (("score", "job.yaml"), "Missing option '--from'"),
        (("parity", "job.yaml", "--max-late", "2"), "--max-late"),
        (("recover", "job.yaml", "--accept-loss"), "Add --reason"),
        (("replay", "job.yaml"), "Missing option '--reason'"),
        (("explain", "job.yaml", "f001"), "Missing argument 'TIME'"),
        (("explain", "job.yaml", "f001", "noon"), "TIME: 'noon' is no instant"),
        (("explain", "job.yaml", "f001", "0001-01-01T00:00+14:00"), "TIME: '0001-01-01T00:00+14:00' is no instant"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert_refused(Caller(capfd)(*words), code=2, message=message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tabels": {}}, "unknown key 'tabels'. Did you mean 'tables'?"),
        ({"output.stream": DROP}, "output: key 'stream' is missing"),
        ({"tables": ["planes"]}, "tables: expected a mapping {table: source}, got a list"),
        ({"state": "${NO_SUCH_VARIABLE}/state"}, "state: environment variable 'NO_SUCH_VARIABLE' is not set"),
        ({"models.champion": "late"}, "models.champion: 'late' is not allowed here"),
        ({"trigger": {"every": "5 seconds"}}, "trigger.every: '5 seconds' is not allowed here"),
        ({"registry": ""}, "registry: expected a URI"),
    ],
)
def test_a_mistake_in_the_job(
    changes: dict[str, Any], message: str, world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    file = job_file(world, changes, name="wrong.yaml")
    for command in (("check",), ("score", *DAYS), ("stream",)):
        assert_refused(Caller(capfd)(*command, file), code=2, message=message)


def test_a_file_that_is_no_yaml(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("name: x\n  rows: {")
    assert_refused(Caller(capfd)("check", tmp_path / "bad.yaml"), code=2, message="bad.yaml:2: not valid YAML")
    assert_refused(Caller(capfd)("check", tmp_path / "none.yaml"), code=2, message="none.yaml: cannot be read")
    assert_refused(Caller(capfd)("check", tmp_path), code=2, message="cannot be read")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--from", "yesterday", "--to", "2013-09-03"), "--from: 'yesterday' is no instant"),
        (("--from", "2013-09-03", "--to", "2013-09-03"), "--from 2013-09-03 is not before --to 2013-09-03"),
        (("--from", "0001-01-01T00:00:00+14:00", "--to", "2013-09-03"), "--from: '0001-01-01T00:00:00+14:00' is no"),
        (("--from", "2013-09-03", "--to", "9999-12-31T23:00:00-14:00"), "--to: '9999-12-31T23:00:00-14:00' is no"),
        (
            ("--from", "2013-09-01", "--to", "2013-09-01T00:00:00.1234567"),
            "--to: '2013-09-01T00:00:00.1234567' is finer than",
        ),
        ((*DAYS, "--cut", "1 day"), "--cut: '1 day' is not allowed here"),
        ((*DAYS, "--cut", "0d"), "--cut: '0d' is not allowed here"),
    ],
)
def test_a_wrong_interval(
    words: tuple[str, ...], message: str, world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    assert_refused(Caller(capfd)("score", job_file(world, {}), *words), code=2, message=message)


SCORE, STREAM, CHECK = ("score", *DAYS), ("stream", "--once", "--broker-timeout", "1s"), ("check",)


def nowhere(world: World) -> str:
    return world.table("nowhere")


def a_file(world: World) -> str:
    return world.table("wide.yaml")


@pytest.mark.parametrize(
    ("command", "changes", "code", "message"),
    [
        (SCORE, {"tables.planes.delta": nowhere}, 1, "table 'planes': not found at"),
        (SCORE, {"rows.batch.delta": nowhere}, 1, "table 'rows.batch': not found at"),
        (SCORE, {"rows.batch": {"parquet": "nowhere"}}, 1, "table 'nowhere': not found at parquet"),
        (CHECK, {"rows.batch": {"table": "no.such"}}, 1, "table 'no.such': not found at the catalog"),
        (SCORE, {"tables.planes.delta": lambda w: w.table("weather")}, 1, "table 'planes': column 'tail' is missing"),
        (CHECK, {"rows.batch.delta": lambda w: w.table("planes")}, 1, "rows: column 'id' is missing"),
        (SCORE, {"tables.planes": DROP}, 2, "tables: key 'planes' is missing"),
        (CHECK, {"tables.planes.feed": {"kafka": "p"}}, 2, "tables.planes.feed: a feed: table planes of 'late' dec"),
        (SCORE, {"models.champion": "models:/lat@champion"}, 1, "has no model 'lat'. Did you mean 'late'?"),
        (STREAM, {"models.champion": "models:/late@chmpion"}, 1, "no alias 'chmpion'. Did you mean 'champion'?"),
        (CHECK, {"models.champion": "models:/late/99"}, 1, "there is no version 99. There are: "),
        (SCORE, {"registry": "sqlite:///nowhere/mlflow.db"}, 1, "cannot be reached: there is no such file"),
        (CHECK, {"registry": "http://127.0.0.1:1"}, 1, "registry http://127.0.0.1:1: cannot be reached"),
        (SCORE, {"output.batch": lambda w: w.table("weather")}, 1, "weather: holds another table: it lacks commit_id"),
        (SCORE, {"output.batch": a_file}, 2, "unfit.yaml: output.batch: "),
        (SCORE, {"state": a_file}, 2, "unfit.yaml: state: "),
        (CHECK, {"output.stream": a_file}, 2, "wide.yaml' is a file, and a folder is needed. Give another path."),
        (STREAM, {"output.stream": a_file}, 2, "unfit.yaml: output.stream: "),
        (STREAM, {"state": a_file}, 2, "unfit.yaml: state: "),
        (STREAM, {"kafka.servers": f"127.0.0.1:{free_port()}"}, 1, "does not answer (TimeoutException)"),
        (STREAM, {"rows.stream.kafka": "no_such_topic"}, 1, "topic 'no_such_topic' is not at "),
        (STREAM, {"tables.arrivals.delta": nowhere}, 1, "table 'arrivals': not found at"),
        (STREAM, {"rows.stream": DROP}, 2, "'stream' needs rows.stream, kafka and output.stream"),
        (SCORE, {"rows.batch": DROP}, 2, "'score' needs rows.batch and output.batch"),
        (("parity",), {}, 1, "no commit of job"),
        (("parity",), {"rows.stream": DROP}, 2, "'parity' needs rows.stream and output.stream"),
        (("verify",), {}, 1, "no commit of job"),
        (("recover",), {}, 1, "no commit of job"),
        (("recover",), {"rows.stream": DROP}, 2, "'recover' needs rows.stream and output.stream"),
        (("replay", "--reason", "SCHEMA"), {}, 1, "no commit of job"),
        (("replay", "--reason", "SCHEMA"), {"rows.stream": DROP}, 2, "'replay' needs rows.stream and output.stream"),
    ],
)
def test_a_job_that_cannot_run_leaves_nothing_behind(
    command: tuple[str, ...], changes: dict[str, Any], code: int, message: str, world: World, call: Caller
) -> None:
    own = {
        "output.batch": lambda w: w.table("none/batch"),
        "output.stream": lambda w: w.table("none/stream"),
        "state": lambda w: w.table("none/state"),
    }
    file = job_file(world, {**own, **changes}, name="unfit.yaml")
    before = tree(world.folder)
    assert_refused(call(command[0], file, *command[1:]), code=code, message=message)
    assert tree(world.folder) == before
    assert not Path(world.table("none")).exists()


@pytest.mark.parametrize(
    ("to", "registry", "message"),
    [("out", "", "the registry's URI is empty"), ("file", "sqlite:///x.db", "--to: 'file' is a file, and a folder is"),
     ("file/below", "sqlite:///x.db", "--to: 'file/below' is a file, and a folder is needed")],
)  # fmt: skip
def test_what_cannot_be_exported(
    to: str,
    registry: str,
    message: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    said = Caller(capfd)("export", "late@champion", "--to", to, "--registry", registry)
    assert_refused(said, code=2, message=message)
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_packaged(world: World, call: Caller, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_text("x")
    (tmp_path / "model.keras").write_text("x")
    (tmp_path / "junk.pkl").write_text("x")
    rows = world.spark.read.format("delta").load(world.table("flights")).toArrow()
    stranger = LogisticRegression().fit(
        to_pandas(rows)[["miles"]].fillna(0).rename(columns={"miles": "mils"}), [0, 1] * 30
    )
    joblib.dump(stranger, tmp_path / "stranger.joblib")
    joblib.dump({"no": "model"}, tmp_path / "dict.joblib")

    def refused(model: str | Path, message: str, *, code: int, sample: str = world.table("flights")) -> None:
        words = ("--trust", "--wide", world.folder / "wide.yaml", "--model", model, "--sample", sample)
        registry = f"sqlite:///{tmp_path}/new/mlflow.db"
        said = call("package", *words, "--name", "late", "--registry", registry)
        assert_refused(said, code=code, message=message)
        assert not (tmp_path / "new").exists()

    refused(tmp_path / "model.bin", "unknown format. Allowed: files ending in .onnx, .txt", code=2)
    refused(tmp_path / "model.keras", "there is no runtime for Keras yet", code=2)
    refused(tmp_path / "none.joblib", "no such file", code=2)
    refused(tmp_path / "junk.pkl", "cannot be read: ", code=1)
    refused(tmp_path / "dict.joblib", "model dict: it knows no column names", code=2)
    refused(tmp_path / "stranger.joblib", "columns that are not in it: mils. Did you mean 'miles'?", code=2)
    refused(tmp_path / "stranger.joblib", "no Delta table there", code=2, sample=str(tmp_path))
    refused(tmp_path / "stranger.joblib", "cannot be looked into", code=1, sample="gibberish://there/x")
    refused("models:/late@champion", "cannot be reached: there is no such file", code=1)
    words = ("--wide", world.folder / "wide.yaml", "--model", tmp_path / "junk.pkl", "--sample", tmp_path)
    said = call("package", *words, "--name", "late", "--registry", f"sqlite:///{tmp_path}/new/mlflow.db")
    assert_refused(said, code=2, message="a pickle, and reading it runs the code in it")


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
