"""Upkeep of a stream's tables: each micro-batch appends small files, and every so often few are made of many.

It is done beside the micro-batches: neither waits for the other, and Delta sees to it that both commits hold.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_scoring.io import delta, delta_upkeep
from spark_scoring.io.causes import cause_of
from spark_scoring.run.feeds import Feed
from spark_scoring.spec.plan import Offsets, Plan

log = logging.getLogger(__name__)

EVERY = 100
CHECKPOINT_EVERY = 50
# what takes the stream's cores for longer than some ten seconds is for somebody else to do
MOST_BYTES = 2 * 2**30


@dataclass(frozen=True, kw_only=True)
class Place:
    """A table that a stream appends to; a feed's only when its topic has records."""

    name: str
    path: str
    feed: Feed | None = None


@dataclass(kw_only=True)
class Upkeep:
    """Counts what was appended to each table, and compacts it after `EVERY` appends. It never stops a stream."""

    spark: SparkSession
    places: tuple[Place, ...]
    _appends: dict[str, int] = field(default_factory=dict)
    _warned: set[str] = field(default_factory=set)
    _worker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "upkeep"))
    _working: "Future[None] | None" = None

    @staticmethod
    def of_stream(spark: SparkSession, feeds: tuple[Feed, ...], *, output: str) -> "Upkeep":
        """For the fed tables and the output."""
        fed = [Place(name=feed.table.name, path=feed.path, feed=feed) for feed in feeds]
        return Upkeep(spark=spark, places=(*fed, Place(name="the output", path=output)))

    def after(self, plan: Plan) -> None:
        """To be called between a commit and the next micro-batch; what is due begins unless some is at work still."""
        appended = [place for place in self.places if place.feed is None or _appended(plan, place.feed)]
        for place in appended:
            with self._warned_of(place):
                # what an earlier process appended counts too; this commit's own append stands in the log by now
                known = self._appends.get(place.name)
                self._appends[place.name] = _since_last(self.spark, place) if known is None else known + 1
        if self._working is not None and not self._working.done():
            return
        self._finish()
        due = [place for place in appended if self._appends.get(place.name, 0) >= EVERY]
        self._appends |= dict.fromkeys((place.name for place in due), 0)
        self._working = self._worker.submit(self._do, appended, due)

    def close(self) -> None:
        """Wait for what is at work."""
        self._worker.shutdown(wait=True)
        self._finish()

    def _finish(self) -> None:
        if self._working is not None:
            self._working.result()

    def _do(self, appended: Sequence[Place], due: Sequence[Place]) -> None:
        for place in appended:
            with self._warned_of(place):
                if place in due:
                    self._compact(place)
                delta_upkeep.checkpoint(self.spark, place.path, every=CHECKPOINT_EVERY)

    def _compact(self, place: Place) -> None:
        waiting = delta_upkeep.bytes_to_compact(self.spark, place.path)
        if waiting > MOST_BYTES:
            self._warn(place, f"{waiting / 2**30:.1f} GiB is too much beside a stream; run OPTIMIZE on it once")
            return
        delta_upkeep.compact(self.spark, place.path)
        log.info("%s: compacted", place.name)

    @contextmanager
    def _warned_of(self, place: Place) -> Iterator[None]:
        try:
            yield
        except (PySparkException, Py4JJavaError) as error:
            self._warn(place, cause_of(error))

    def _warn(self, place: Place, reason: str) -> None:
        if place.name not in self._warned:
            self._warned.add(place.name)
            log.warning("%s: no upkeep: %s", place.name, reason)


def _appended(plan: Plan, feed: Feed) -> bool:
    assert isinstance(plan.input, Offsets)
    return any(start < until for start, until in plan.input.ranges.get(feed.topic.topic, {}).values())


def _since_last(spark: SparkSession, place: Place) -> int:
    entries = delta.history(spark, place.path, newest=EVERY)
    return sum(entry.operation == "WRITE" for entry in takewhile(lambda e: e.operation != "OPTIMIZE", entries))
