"""spark-submit.sh on a local master and on a standalone cluster."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands import run
from tests.conftest import HOME

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
