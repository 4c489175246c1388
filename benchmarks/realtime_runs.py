"""Runs of the real-time benchmark: a producer, one contestant at a time, and when each score could be read."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from kafka import KafkaConsumer

from spark_scoring.testing import KafkaBroker

HERE = Path(__file__).resolve().parent
PARTITIONS, FIRST_ROWS, FIRST_RATE = 2, 200, 100
START_LIMIT_S, END_LIMIT_S = 240.0, 60.0
# of the query in Real-Time Mode: the landing's batches, which end every few seconds, are no gaps of the lane
CHECKPOINTS = {"realtime": "state/realtime/checkpoint", "plain": "state", "micro-batch": "none"}
# around the end of a batch, when the next one is planned
BEFORE_S, AFTER_S = 1.0, 3.0


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds from a record's creation to its score: all of them, and those outside the ends of batches."""

    rows: int
    all_ms: tuple[float, float, float]
    outside_ms: tuple[float, float, float]
    greatest_ms: float


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Where contestants run."""

    broker: KafkaBroker
    world: Path
    folder: Path
    batch_s: int

    def latency(self, who: str, *, rate: int, warm_s: float, seconds: float) -> Latency:
        """At a steady rate, for so many seconds after a warm-up that nobody counts."""
        topic, scores = f"r{time.time_ns()}", f"s{time.time_ns()}"
        for name in (topic, scores):
            self.broker.create_topic(name, PARTITIONS)
        seen = _Seen(servers=self.broker.servers, topic=scores)
        with self._running(who, topic=topic, scores=scores) as out, seen.reading():
            self._produce(topic, rate=FIRST_RATE, count=FIRST_ROWS)
            found = _found(who, out, seen)
            _until(lambda: len(found()) >= FIRST_ROWS, limit_s=START_LIMIT_S)
            count, began = int(rate * (warm_s + seconds)), time.time()
            self._produce(topic, rate=rate, count=count)
            _until(lambda: len(found()) >= count + FIRST_ROWS, limit_s=END_LIMIT_S)
            ends = [file.stat().st_mtime for file in (out / CHECKPOINTS[who]).glob("commits/[0-9]*")]
            return _latency(found(), since=began + warm_s, until=began + warm_s + seconds, ends=ends)

    def _produce(self, topic: str, *, rate: int, count: int) -> None:
        words = [self.broker.servers, topic, str(rate), str(count)]
        subprocess.run([sys.executable, str(HERE / "realtime_producer.py"), *words], check=True)

    @contextmanager
    def _running(self, who: str, *, topic: str, scores: str) -> Iterator[Path]:
        out = self.folder / topic
        out.mkdir()
        order = {"who": who, "topic": topic, "scores": scores, "out": str(out), "batch_s": self.batch_s}
        process = start({**order, "world": str(self.world), "servers": self.broker.servers}, log=out / "log")
        try:
            yield out
            if process.poll() is not None:
                raise RuntimeError((out / "log").read_text("utf-8")[-2000:])
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def start(order: dict[str, Any], *, log: Path) -> "subprocess.Popen[bytes]":
    """A contestant that was told what to do."""
    with log.open("wb") as said:
        words = [sys.executable, str(HERE / "realtime_child.py")]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    process.stdin.write(json.dumps(order).encode())
    process.stdin.close()
    return process


@dataclass(kw_only=True)
class _Seen:
    """Who reads the topic of scores: each value, and when it was there."""

    servers: str
    topic: str

    def __post_init__(self) -> None:
        self.values: list[tuple[float, bytes]] = []
        self._done = threading.Event()

    @contextmanager
    def reading(self) -> Iterator[None]:
        thread = threading.Thread(target=self._read, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _read(self) -> None:
        options = {"auto_offset_reset": "earliest", "fetch_max_wait_ms": 100}
        consumer = KafkaConsumer(self.topic, bootstrap_servers=self.servers, **options)
        while not self._done.is_set():
            for records in consumer.poll(timeout_ms=100).values():
                at = time.time()
                self.values += [(at, record.value) for record in records]
        consumer.close()


def _found(who: str, out: Path, seen: _Seen) -> Callable[[], np.ndarray]:
    """A function that gives (made, readable) of each score, in seconds since 1970."""
    return (lambda: _committed(out / "scores")) if who == "micro-batch" else (lambda: _read(seen.values))


def _read(values: list[tuple[float, bytes]]) -> np.ndarray:
    made = [datetime.fromisoformat(json.loads(value)["source"]["timestamp"]).timestamp() for _, value in values]
    return np.column_stack([made, [at for at, _ in values]]) if values else np.empty((0, 2))


def _committed(table: Path) -> np.ndarray:
    """By the log of a Delta table: when each row's record was made, and when the commit was there."""
    found = [np.empty((0, 2))]
    for file in sorted((table / "_delta_log").glob("*.json")):
        at = file.stat().st_mtime
        for action in map(json.loads, file.read_text("utf-8").splitlines()):
            if action.get("add", {}).get("dataChange"):
                made = _made(table / action["add"]["path"])
                found.append(np.column_stack([made, np.full(len(made), at)]))
    return np.concatenate(found)


def _made(file: Path) -> np.ndarray:
    column = pq.ParquetFile(file).read(columns=["source.timestamp"]).column(0).combine_chunks().field("timestamp")
    return column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy() / 1e6


def _latency(found: np.ndarray, *, since: float, until: float, ends: list[float]) -> Latency:
    counted = found[(found[:, 0] >= since) & (found[:, 0] < until)]
    near = np.zeros(len(counted), dtype=bool)
    for end in ends:
        near |= (counted[:, 0] >= end - BEFORE_S) & (counted[:, 0] < end + AFTER_S)
    took_ms = 1000 * (counted[:, 1] - counted[:, 0])
    return Latency(
        rows=len(counted),
        all_ms=_percentiles(took_ms),
        outside_ms=_percentiles(took_ms[~near]),
        greatest_ms=float(took_ms.max()),
    )


def _percentiles(values: np.ndarray) -> tuple[float, float, float]:
    p50, p95, p99 = (float(np.percentile(values, share)) if len(values) else float("nan") for share in (50, 95, 99))
    return p50, p95, p99


def _until(done: Callable[[], bool], *, limit_s: float) -> None:
    until = time.monotonic() + limit_s
    while not done() and time.monotonic() < until:
        time.sleep(1.0)
