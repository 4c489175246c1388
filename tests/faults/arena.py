"""A job over real parts that faults are done to: its producer's log, its processes, the oracle's word on it."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from spark_scoring import Job
from spark_scoring.io import delta, delta_upkeep
from spark_scoring.run import faults, generation, stream
from spark_scoring.run.generation import Consent
from spark_scoring.testing import KafkaBroker, Record, produce
from spark_scoring.watch import verify
from tests.faults import oracle
from tests.faults.oracle import Damage, Sent
from tests.world import World, arrivals, flights, job_mapping, make_world, record

BROKEN = [None, b"{", b'{"id": "x"} {}', b'{"id": "z1"}']


@dataclass(kw_only=True)
class Arena:
    """A world with topics, and everything that was acknowledged of what was sent to them."""

    world: World
    broker: KafkaBroker
    job_path: Path
    sent: list[Sent] = field(default_factory=list)
    fed: int = 0

    @property
    def job(self) -> Job:
        return self.world.job

    @property
    def rows_topic(self) -> str:
        return f"{self.job.name}_flights"

    @property
    def output(self) -> str:
        return str(self.job.output.stream)

    def send(self, first: int, until: int, *, broken: Sequence[bytes | None] = ()) -> None:
        """Rows of these numbers, then broken records."""
        values = [*[record(row) for row in flights(until)[first:]], *broken]
        records = [Record(key=str(i).encode(), value=value) for i, value in enumerate(values)]
        at = produce(self.broker.servers, self.rows_topic, records)
        self.sent += [
            Sent(self.rows_topic, one.partition, one.offset, value) for one, value in zip(at, values, strict=True)
        ]

    def feed(self, count: int) -> None:
        """Landings, and one record that is none."""
        values: list[bytes] = [*[record(row) for row in arrivals(count)], b"{"]
        produce(self.broker.servers, f"{self.job.name}_arrivals", [Record(key=None, value=value) for value in values])
        self.fed += count

    def damage(self) -> Damage:
        return oracle.damage(self.sent, self.output)

    def fed_rows(self) -> int:
        """How many rows the fed table has got, by its files."""
        return len(oracle.rows_of(self.world.table("arrivals"))) - len(arrivals())

    def fed_rejected(self) -> int:
        return len(oracle.rows_of(f"{self.job.state}/feed_rejected"))

    def run(self) -> None:
        """The stream in this process, until its backlog is worked off."""
        stream.stream(self.world.spark, self.job, once=True, now=now, stop=threading.Event())

    def struck(self, monkeypatch: Any, failpoint: str) -> None:
        """The same, ended by a failpoint."""
        with monkeypatch.context() as patched:
            patched.setenv(faults.FAILPOINT, f"{failpoint}:raise")
            faults._times.clear()
            try:
                self.run()
            except faults.Struck:
                return
        raise AssertionError(f"{failpoint} was not reached")

    def recover(self, **accepted: Any) -> None:
        consent = Consent(by="tests", at=now().isoformat(timespec="seconds"), **accepted)
        generation.recover(self.world.spark, self.job, consent=consent)

    def holds(self) -> bool:
        return verify.verify_stream(self.world.spark, self.job).holds

    def start(self, *words: str, failpoint: str = "", without: str = "", log: str = "log") -> "subprocess.Popen[bytes]":
        """A command in a process of its own, as users start it; its log is `<log>.txt` in the world's folder."""
        environ = {**os.environ, "SPARK_MASTER": "local[2,4]", faults.FAILPOINT: failpoint, faults.WITHOUT: without}
        command = [sys.executable, "-m", "spark_scoring.cli", words[0], str(self.job_path), *words[1:]]
        with self.log(log).open("ab") as file:
            return subprocess.Popen(command, env=environ, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)

    def finished(self, *words: str, code: int = 0, timeout_s: float = 240, **options: str) -> str:
        """What the command said; it must end with this code (a negative one: the signal that killed it)."""
        process = self.start(*words, **options)
        try:
            ended = process.wait(timeout_s)
        finally:
            kill_group(process)
        said = self.log(options.get("log", "log")).read_text()
        assert ended == code, said
        return said

    def log(self, name: str) -> Path:
        return self.world.folder / f"{name}.txt"


def make_arena(
    spark: SparkSession,
    folder: Path,
    broker: KafkaBroker,
    *,
    partitions: int = 2,
    rows_a_batch: int = 20,
    own_registry: bool = False,
    **changes: Any,
) -> Arena:
    """A job with small micro-batches over topics of its own."""
    kafka = {"servers": broker.servers, "max_rows_per_batch": rows_a_batch, **changes.pop("kafka", {})}
    world = make_world(spark, folder, own_registry=own_registry)
    for kind in ("flights", "arrivals"):
        broker.create_topic(f"{world.job.name}_{kind}", partitions=partitions)
    mapping = job_mapping(folder, name=world.job.name, servers=kafka["servers"])
    mapping |= {"kafka": kafka, "registry": world.job.registry, **changes}
    (folder / "job.yaml").write_text(yaml.safe_dump(mapping))
    job = Job.load(folder / "job.yaml", {"KAFKA_PASSWORD": "", **os.environ})
    return Arena(world=replace(world, job=job), broker=broker, job_path=folder / "job.yaml")


def expire(spark: SparkSession, path: str) -> None:
    """What Delta's clean-up does after a month, to all entries that a job made."""
    table = DeltaTable.forPath(spark, path)
    for _ in range(2):
        table.optimize().executeCompaction()
        delta_upkeep.set_property(spark, path, "note", "x")
    newest = delta.current_version(spark, path)
    jvm: Any = spark._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path).checkpoint()
    for version in range(newest):
        Path(path, "_delta_log", f"{version:020d}.json").unlink()
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to all that the process started: Python, its JVM, their workers."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(30)


def files_in(folder: str | Path) -> Iterable[Path]:
    return (path for path in Path(folder).rglob("*") if path.is_file())


def now() -> datetime:
    return datetime.now(UTC)
