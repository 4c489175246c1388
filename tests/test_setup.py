"""What a new user starts with: set-up, and spark-submit.sh on a local master and on a standalone cluster."""

import fcntl
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

HOME = Path(__file__).resolve().parents[1]
SUBMIT = HOME / "spark-submit.sh"

PROBE = """
import json, os, socket, sys
from pathlib import Path
from pyspark.sql import SparkSession, functions as F

def where(number):
    import spark_scoring
    return json.dumps([spark_scoring.__file__, sys.executable])

spark = SparkSession.builder.appName("probe").getOrCreate()
rows = spark.range(4).select(F.udf(where, "string")("id").alias("where")).distinct().collect()
names = ["spark.sql.shuffle.partitions", "spark.sql.session.timeZone", "spark.sql.ansi.enabled"]
spark.range(3).write.format("delta").save(sys.argv[1])
print(json.dumps({
    "workers": [json.loads(row["where"]) for row in rows],
    "settings": [spark.conf.get(name) for name in names],
    "master": spark.sparkContext.master,
    "host": spark.conf.get("spark.driver.host"),
    "arguments": sys.argv[1:],
    "written": spark.read.format("delta").load(sys.argv[1]).count(),
}))
spark.stop()
sys.exit(7)
"""

SLOW_STREAM = """
import signal, sys, threading, time
from pathlib import Path
from pyspark.sql import SparkSession, functions as F

out, told, batch = Path(sys.argv[1]), threading.Event(), threading.Lock()

def slow(number):
    time.sleep(0.2)
    return number

def write(frame, number):
    with batch:
        if told.is_set():
            return
        (out / f"{number}.begun").touch()
        frame.limit(4).repartition(1).select(F.udf(slow, "long")("value")).collect()
        (out / f"{number}.done").touch()

spark = SparkSession.builder.appName("slow").getOrCreate()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: told.set())
rate = spark.readStream.format("rate").option("rowsPerSecond", 20).load()
query = rate.writeStream.option("checkpointLocation", sys.argv[2]).foreachBatch(write).start()
while query.isActive and not told.is_set():
    query.awaitTermination(0.2)
with batch:
    query.stop()
spark.stop()
print("in order")
"""


@pytest.fixture(scope="session")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", HOME / "tools" / "install.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["install"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The set-up without anything that was set up."""
    for name in ("tools", "requirements"):
        shutil.copytree(HOME / name, tmp_path / "clone" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HOME / "pyproject.toml", tmp_path / "clone")
    return tmp_path / "clone"


def run(
    *command: str | Path, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **(environ or {})}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)


def test_set_up_already_done_says_nothing() -> None:
    run(HOME / "tools" / "setup.sh", "dev")
    again = run(HOME / "tools" / "setup.sh", "run")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_failed_download_says_what_failed_and_what_to_do(clone: Path) -> None:
    environ = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(clone), "SPARK_SCORING_CACHE": str(clone / "cache")}
    done = run(clone / "tools" / "setup.sh", "run", environ=environ)
    assert done.returncode == 1
    assert re.search(r"setup: venv … \d+ s", done.stderr)
    assert "dependencies failed:" in done.stderr and "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_set_up_waits_for_the_first(clone: Path) -> None:
    (clone / ".cache").mkdir()
    environ = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(clone)}
    with (clone / ".cache" / "setup.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen([clone / "tools" / "setup.sh", "run"], env=environ, stderr=subprocess.PIPE, text=True)
        assert second.stderr is not None
        lines = [second.stderr.readline(), second.stderr.readline()]
        made_meanwhile = (clone / ".venv").exists()
    second.communicate(timeout=120)
    assert "waiting for it" in lines[1] and not made_meanwhile
    assert (clone / ".venv").exists()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"JAVA_HOME": "/nowhere"}, "no Java at '/nowhere/bin/java'. Install Java >= 17"),
        ({"SPARK_SCORING_PYTHON": "/nowhere"}, "no Python >= 3.11 on the PATH"),
    ],
)
def test_what_the_machine_lacks_is_named(clone: Path, environ: dict[str, str], message: str) -> None:
    done = run(clone / "tools" / "setup.sh", "run", environ=environ)
    assert done.returncode == 1 and message in done.stderr


def test_an_old_java_is_named(clone: Path) -> None:
    java = clone / "old" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    done = run(clone / "tools" / "setup.sh", "run", environ={"JAVA_HOME": str(clone / "old")})
    assert done.returncode == 1 and "is Java 11, needed is >= 17" in done.stderr


def test_a_changed_jar_is_refused(install: ModuleType, tmp_path: Path) -> None:
    jars = Path(os.environ.get("SPARK_SCORING_CACHE", HOME / ".cache")) / "jars" / "spark"
    shutil.copytree(jars, tmp_path / "spark")
    install.check_jars("spark", tmp_path / "spark")
    changed = next((tmp_path / "spark").glob("commons-pool2-*.jar"))
    changed.write_bytes(changed.read_bytes() + b" ")
    (tmp_path / "spark" / "other.jar").touch()
    with pytest.raises(install.SetupError, match=r"jars\.sha256 says: commons-pool2-.*\.jar, other\.jar"):
        install.check_jars("spark", tmp_path / "spark")


def test_an_interrupted_stage_is_done_again_and_a_done_one_is_not(install: ModuleType, tmp_path: Path) -> None:
    calls: list[str] = []

    def make() -> None:
        calls.append("made")
        if len(calls) == 1:
            raise OSError("the cable was pulled")

    stage = install.Stage(name="thing", place=tmp_path, needs=tmp_path, key="k", make=make)
    with pytest.raises(install.SetupError, match="thing failed:\nthe cable was pulled"):
        stage.ensure()
    stage.ensure()
    stage.ensure()
    assert len(calls) == 2


def test_pip_settings_are_handed_on(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "global.index-url='https://mirror.test/simple'",
        ":env:.find-links='/a /b'",
        "global.timeout='9'",
    ]
    monkeypatch.setattr(install, "run", lambda *_: "\n".join(lines))
    for name in ("UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_INDEX_STRATEGY"):
        monkeypatch.delenv(name, raising=False)
    assert install.uv_settings() == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://mirror.test/simple",
        "UV_FIND_LINKS": "/a,/b",
    }


def test_the_locks_name_no_host() -> None:
    locks = [path for path in (HOME / "requirements").iterdir() if path.suffix in (".txt", ".in", ".xml")]
    assert len(locks) >= 8
    assert not [path.name for path in locks if "://" in path.read_text()]


def test_an_unknown_job_lists_the_known_ones() -> None:
    done = run(SUBMIT, "nothing")
    assert done.returncode == 2 and "no job 'nothing'. There are:" in done.stderr
    assert all(f"    {job.stem}\n" in done.stderr for job in (HOME / "jobs").glob("*.py"))


def test_help() -> None:
    done = run(SUBMIT, "--help")
    assert done.returncode == 0 and "example: " in done.stdout and "SPARK_MASTER" in done.stdout
    assert run(SUBMIT).returncode == 2


def test_a_job_runs_from_anywhere_with_our_settings(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(PROBE)
    done = run(SUBMIT, "probe.py", "out", "a b", cwd=tmp_path, environ={"SPARK_MASTER": "local[2,4]"})
    assert done.returncode == 7, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("host") in ("127.0.0.1", "localhost")
    assert said == {
        "workers": [[str(HOME / "spark_scoring" / "__init__.py"), str(HOME / ".venv" / "bin" / "python")]],
        "settings": ["8", "UTC", "true"],
        "master": "local[2,4]",
        "arguments": ["out", "a b"],
        "written": 3,
    }
    assert (tmp_path / "out" / "_delta_log").exists()
    assert done.stderr == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_signal_to_the_whole_group_lets_the_batch_finish(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "slow.py").write_text(SLOW_STREAM)
    out = tmp_path / "out"
    out.mkdir()
    job = subprocess.Popen(
        [SUBMIT, tmp_path / "slow.py", out, tmp_path / "checkpoint"],
        env={**os.environ, "SPARK_MASTER": "local[1,4]"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: (out / "1.begun").exists() or job.poll() is not None, what="the second batch")
    os.killpg(job.pid, number)
    said, _ = job.communicate(timeout=60)
    assert (job.returncode, said) == (0, "in order\n")
    assert {path.stem for path in out.glob("*.begun")} == {path.stem for path in out.glob("*.done")}
    wait_for(lambda: not group(job.pid), what="the end of all its processes")


@pytest.mark.slow
def test_a_job_runs_on_a_standalone_cluster(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(PROBE)
    with cluster(tmp_path) as master:
        done = run(SUBMIT, tmp_path / "probe.py", tmp_path / "out", environ={"SPARK_MASTER": master})
    assert done.returncode == 7, done.stderr
    said = json.loads(done.stdout)
    assert said["master"] == master and said["written"] == 3
    assert said["workers"] == [[str(HOME / "spark_scoring" / "__init__.py"), str(HOME / ".venv/bin/python")]]


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """The address of a master with one worker, both on loopback; both are gone at the end."""
    ports = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
    with daemon("master.Master", *ports, log=folder / "master.log") as master_log:
        address = wait_for(lambda: find(r"spark://127\.0\.0\.1:\d+", master_log), what="the master")
        size = ["--cores", "2", "--memory", "1g", "--work-dir", str(folder / "work")]
        with daemon("worker.Worker", *ports, *size, address, log=folder / "worker.log") as worker_log:
            wait_for(lambda: find("Successfully registered", worker_log), what="the worker")
            yield address


@contextmanager
def daemon(name: str, *arguments: str, log: Path) -> Iterator[Path]:
    spark_class = HOME / ".venv" / "bin" / "spark-class"
    with log.open("w") as file:
        process = subprocess.Popen(
            [spark_class, f"org.apache.spark.deploy.{name}", *arguments],
            env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield log
    finally:
        process.terminate()
        process.wait(timeout=60)


def find(pattern: str, log: Path) -> str | None:
    found = re.search(pattern, log.read_text())
    return found.group() if found else None


def group(number: int) -> list[str]:
    """The processes of a group that still run."""
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True).stdout
    fields = [line.split(None, 2) for line in listed.splitlines()]
    return [row[2] for row in fields if row[0] == str(number) and not row[1].startswith("Z")]


def wait_for(condition, *, what: str, timeout_s: float = 90):  # type: ignore[no-untyped-def]  # any truthy answer
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited {timeout_s} s in vain for {what}")
