"""Runs of the stream's benchmark: a broker, a producer, one contestant at a time, and what its output's log tells."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cells import OURS
from measure import cpu_s
from mlflow import MlflowClient
from stream_world import World

from spark_scoring.testing import KafkaBroker

HERE = Path(__file__).resolve().parent
CHILD = HERE / "stream_child.py"
PARTITIONS, FIRST_ROWS = 2, 200
START_LIMIT_S, END_LIMIT_S = 180.0, 60.0
# what all may take at once
MOST = 50_000
# how often an alias is moved, and to how many commits before the first one with the other model is compared
MOVES, BEFORE = 4, 10


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A way to run the stream: `udf` is the expert's kind of function."""

    name: str
    udf: str = "arrow"


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds from a record's creation to its commit, at percentiles; over how many commits and rows; CPU a second."""

    p50: float
    p95: float
    p99: float
    commits: int
    rows: int
    cpus: float


@dataclass(frozen=True, kw_only=True)
class Swap:
    """Seconds from commit to commit: the median of `BEFORE` of them, and up to the first with another model."""

    usual: float
    first: float


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Where contestants run."""

    broker: KafkaBroker
    world: World
    folder: Path

    def latency(self, who: Contestant, *, model: str, rate: int, warm_s: float, seconds: float) -> Latency:
        """At a steady rate, for so many seconds after a warm-up that nobody counts."""
        topic = f"r{time.time_ns()}"
        self.broker.create_topic(topic, PARTITIONS)
        self.produce(topic, rate=0, count=FIRST_ROWS)
        with self._running(who, topic=topic, model=model) as out:
            _until(lambda: commits(out), limit_s=START_LIMIT_S)
            count = int(rate * (warm_s + seconds))
            began = time.time()
            with self._producing(topic, rate=rate, count=count):
                time.sleep(warm_s)
                cpu = cpu_s()
                time.sleep(seconds)
                cpus = (cpu_s() - cpu) / seconds
            _until(lambda: _rows(out) >= count + FIRST_ROWS, limit_s=END_LIMIT_S)
            return _latency(out, since=began + warm_s, until=began + warm_s + seconds, cpus=cpus)

    def rate(self, who: Contestant, *, model: str, topic: str, limit_s: float) -> float:
        """Rows a second while a backlog is worked off, from the second commit on, for so many seconds at most."""
        with self._running(who, topic=topic, model=model) as out:
            _until(lambda: len(commits(out)) > 1, limit_s=START_LIMIT_S)
            time.sleep(limit_s)
            found = commits(out)
        seconds = found[-1].at - found[1].at
        return sum(one.rows for one in found[2:]) / seconds

    def swaps(self, *, model: str, rate: int, warm_s: float, seconds: float) -> list[Swap]:
        """At a steady rate, after a warm-up, our alias is moved to each of the `MOVES` newest versions of the model."""
        topic, aliases = f"s{time.time_ns()}", MlflowClient(self.world.registry, self.world.registry)
        now = aliases.get_model_version_by_alias(model, "champion").version
        all_versions = {str(one.version) for one in aliases.search_model_versions(f"name = '{model}'")}
        newest = sorted(all_versions, key=int)[-MOVES:]
        self.broker.create_topic(topic, PARTITIONS)
        self.produce(topic, rate=0, count=FIRST_ROWS)
        with self._running(Contestant(name=OURS), topic=topic, model=model) as out:
            _until(lambda: commits(out), limit_s=START_LIMIT_S)
            with self._producing(topic, rate=rate, count=int(rate * (warm_s + seconds))):
                time.sleep(warm_s)
                try:
                    for version in newest:
                        aliases.set_registered_model_alias(model, "champion", version)
                        time.sleep(seconds / MOVES)
                finally:
                    aliases.set_registered_model_alias(model, "champion", now)
            found = commits(out)
        took_s = [after.at - before.at for before, after in pairwise(found)]
        firsts = [next(i for i, one in enumerate(found) if one.model == version) for version in newest]
        if min(after - before for before, after in pairwise([0, *firsts])) <= BEFORE:
            raise RuntimeError(
                f"the alias moved at commits {firsts}: {BEFORE} before each are needed, take more seconds"
            )
        return [
            Swap(usual=float(np.median(took_s[first - 1 - BEFORE : first - 1])), first=took_s[first - 1])
            for first in firsts
        ]

    def produce(self, topic: str, *, rate: int, count: int) -> None:
        with self._producing(topic, rate=rate, count=count):
            pass

    @contextmanager
    def _producing(self, topic: str, *, rate: int, count: int) -> Iterator[None]:
        words = [self.broker.servers, topic, str(rate), str(count)]
        process = subprocess.Popen([sys.executable, str(HERE / "stream_producer.py"), *words])
        try:
            yield
            if process.wait() != 0:
                raise RuntimeError("the producer failed")
        finally:
            process.kill()

    @contextmanager
    def _running(self, who: Contestant, *, topic: str, model: str) -> Iterator[Path]:
        out = self.folder / topic / who.name.replace(" ", "_")
        out.mkdir(parents=True, exist_ok=True)
        order = {"who": who.name, "udf": who.udf, "topic": topic, "model": model, "out": str(out), "most": MOST}
        process = start({**order, "world": str(self.world.folder), "servers": self.broker.servers}, log=out / "log")
        try:
            yield out / "scores"
            if process.poll() is not None:
                raise RuntimeError((out / "log").read_text("utf-8")[-2000:])
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def start(order: dict[str, Any], *, log: Path) -> "subprocess.Popen[bytes]":
    """A contestant that was told what to do."""
    with log.open("wb") as said:
        words = [sys.executable, str(CHILD)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode())
    process.stdin.close()
    return process


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit of a Delta table: when its log file was there, the data files it added, our model's version."""

    at: float
    files: tuple[Path, ...]
    rows: int
    model: str | None


def commits(table: Path) -> list[Commit]:
    """The commits that added rows, oldest first, by the table's log."""
    return [one for file in sorted((table / "_delta_log").glob("*.json")) if (one := _commit(file, table)).files]


def _commit(file: Path, table: Path) -> Commit:
    actions = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    added = [action["add"] for action in actions if "add" in action and action["add"]["dataChange"]]
    files = tuple(table / one["path"] for one in added)
    rows = sum(json.loads(one.get("stats") or "{}").get("numRecords", 0) for one in added)
    said = next((action["commitInfo"].get("userMetadata") for action in actions if "commitInfo" in action), None)
    model = json.loads(said)["models"]["champion"]["version"] if said else None
    return Commit(at=file.stat().st_mtime, files=files, rows=rows, model=model)


def _rows(table: Path) -> int:
    return sum(one.rows for one in commits(table))


def _latency(table: Path, *, since: float, until: float, cpus: float) -> Latency:
    found, used = [], 0
    for one in commits(table):
        made = np.concatenate([_made(file) for file in one.files])
        counted = made[(made >= since) & (made < until)]
        used += len(counted) > 0
        found.append(one.at - counted)
    all_s = np.concatenate(found)
    p50, p95, p99 = (float(np.percentile(all_s, share)) for share in (50, 95, 99))
    return Latency(p50=p50, p95=p95, p99=p99, commits=used, rows=len(all_s), cpus=cpus)


def _made(file: Path) -> np.ndarray:
    """When the records of a file were made, in seconds since 1970."""
    there = pq.ParquetFile(file)
    ours = "source" in there.schema_arrow.names
    column = there.read(columns=["source.timestamp" if ours else "timestamp"]).column(0).combine_chunks()
    column = column.field("timestamp") if ours else column
    return column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy() / 1e6


def _until(done: Any, *, limit_s: float) -> None:
    until = time.monotonic() + limit_s
    while not done() and time.monotonic() < until:
        time.sleep(0.5)
