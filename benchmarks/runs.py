"""One run of one contestant: its cost or its checksum, stopped at a limit."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Timer

from checksum import Checksum, of_frame
from data import Store
from measure import Cost, cost_of, cpu_s
from peers.feast_sql import feast_sql
from peers.interval_join import interval_join
from peers.lookup_join import lookup_join
from peers.ours import wide_table
from peers.range_frames import SEGMENT_TREE, range_frames
from peers.tempo_as_of import tempo_as_of
from peers.union_last import union_last
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from work import Table, Work

CHILD = Path(__file__).with_name("child.py")
GROUP = "benchmark"
Build = Callable[[Work, Callable[[Table], DataFrame]], DataFrame]


@dataclass(frozen=True, kw_only=True)
class SparkPeer:
    """A way to do the work in this session, with the settings that it needs."""

    build: Build
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Another engine, in a process of its own."""

    name: str
    threads: int
    way: str = "frames"


PEERS: dict[str, SparkPeer | Engine] = {
    "spark_scoring": SparkPeer(build=wide_table),
    "union + last": SparkPeer(build=union_last),
    "interval join": SparkPeer(build=interval_join),
    "lookup join": SparkPeer(build=lookup_join),
    "tempo": SparkPeer(build=tempo_as_of),
    "Feast's SQL": SparkPeer(build=feast_sql),
    "range frame": SparkPeer(build=range_frames),
    "range frame, segment tree": SparkPeer(build=range_frames, settings=SEGMENT_TREE),
    "DuckDB, 1 thread": Engine(name="duckdb", threads=1),
    "DuckDB, 2 threads": Engine(name="duckdb", threads=2),
    "DuckDB join, 1 thread": Engine(name="duckdb", threads=1, way="join"),
    "DuckDB join, 2 threads": Engine(name="duckdb", threads=2, way="join"),
    "polars, 1 thread": Engine(name="polars", threads=1),
    "polars, 2 threads": Engine(name="polars", threads=2),
}


class TooLongError(Exception):
    """A run that was stopped at the limit; what it had cost by then."""

    def __init__(self, cost: Cost) -> None:
        super().__init__(f"stopped after {cost.wall_s:.0f} s")
        self.cost = cost


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Where contestants run, and for how long at most."""

    spark: SparkSession
    store: Store
    limit_s: float
    peers: Mapping[str, SparkPeer | Engine] = field(default_factory=lambda: PEERS)

    def checksum(self, peer: SparkPeer | Engine, *, work: Work) -> Checksum:
        """The checksum of a contestant's answer.

        Raises: TooLongError.
        """
        if isinstance(peer, Engine):
            return self._in_child(peer, work=work, check=True)
        with self._prepared(peer):
            return of_frame(self._frame(peer, work=work), work=work)

    def cost(self, peer: SparkPeer | Engine, *, work: Work) -> Cost:
        """The cost of a contestant's answer, made in full and thrown away; planning is a part of it.

        Raises: TooLongError.
        """
        if isinstance(peer, Engine):
            return Cost(**self._in_child(peer, work=work, check=False))
        with self._prepared(peer):
            return cost_of(lambda: _thrown_away(self._frame(peer, work=work)))

    def _frame(self, peer: SparkPeer, *, work: Work) -> DataFrame:
        return peer.build(work, lambda table: self.store.frame(self.spark, table=table))

    @contextmanager
    def _prepared(self, peer: SparkPeer) -> Iterator[None]:
        """The peer's settings, no garbage of the one before, and an end at the limit."""
        for name, value in peer.settings.items():
            self.spark.conf.set(name, value)
        self.spark.sparkContext._jvm.System.gc()
        try:
            with self._limited():
                yield
        finally:
            for name in peer.settings:
                self.spark.conf.unset(name)

    @contextmanager
    def _limited(self) -> Iterator[None]:
        context, over, before_s = self.spark.sparkContext, Event(), cpu_s()
        context.setJobGroup(GROUP, GROUP, interruptOnCancel=True)

        def stop() -> None:
            over.set()
            context.cancelJobGroup(GROUP)

        timer = Timer(self.limit_s, stop)
        timer.start()
        try:
            yield
        except (Py4JError, PySparkException) as problem:
            if over.is_set():
                raise TooLongError(Cost(wall_s=self.limit_s, cpu_s=cpu_s() - before_s)) from problem
            raise
        finally:
            timer.cancel()

    def _in_child(self, engine: Engine, *, work: Work, check: bool) -> Mapping[str, float]:
        paths = {table: str(self.store.path(table)) for table in (work.rows, *work.tables())}
        order = {**vars(engine), "work": work, "paths": paths, "check": check}
        return self._run(CHILD, order=pickle.dumps(order), environ={"POLARS_MAX_THREADS": str(engine.threads)})

    def _run(self, script: Path, *, order: bytes, environ: Mapping[str, str]) -> Mapping[str, float]:
        """What a process of its own prints as JSON, given the order. Raises: TooLongError."""
        before_s = cpu_s()
        try:
            done = subprocess.run(
                [sys.executable, str(script)],
                input=order,
                env={**os.environ, **environ},
                capture_output=True,
                timeout=self.limit_s,
                check=True,
            )
        except subprocess.TimeoutExpired as problem:
            raise TooLongError(Cost(wall_s=self.limit_s, cpu_s=cpu_s() - before_s)) from problem
        found: dict[str, float] = json.loads(done.stdout)
        return found


def _thrown_away(frame: DataFrame) -> None:
    frame.write.format("noop").mode("overwrite").save()
