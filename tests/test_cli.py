"""Every command on a small job written as YAML: how it is called, and how it refuses."""

from pathlib import Path
from typing import Any

import joblib
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

from spark_scoring import to_pandas
from spark_scoring.cli import cli
from spark_scoring.testing.broker import free_port
from tests.cli_calls import DAYS, DROP, Caller, assert_refused, job_file, tree
from tests.world import World

COMMANDS = (
    "check", "widen", "package", "export", "score", "stream", "parity", "verify", "status", "explain",
    "recover", "replay",
)  # fmt: skip


@pytest.fixture(scope="module")
def world(cli_world: World) -> World:
    return cli_world


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


BACKWARDS = ("--from", "2013-09-03", "--to", "2013-09-01")
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
        (SCORE, {"rows.batch": {"parquet": "nowhere"}}, 1, "table 'rows.batch': not found at nowhere"),
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
        (("replay", "--reason", "SCHEMA", *BACKWARDS), {}, 2, "--from 2013-09-03 is not before --to 2013-09-01"),
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
