"""Upkeep of a stream's tables: each micro-batch appends small files, and every so often few are made of many."""

import logging
from dataclasses import dataclass, field
from itertools import takewhile

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_scoring.io import delta
from spark_scoring.io.causes import cause_of
from spark_scoring.run.feeds import Feed
from spark_scoring.spec.plan import Offsets, Plan

log = logging.getLogger(__name__)

EVERY = 100
# a stream stands still meanwhile, so what takes longer than some ten seconds is for somebody else to do
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

    @staticmethod
    def of_stream(spark: SparkSession, feeds: tuple[Feed, ...], *, output: str) -> "Upkeep":
        """For the fed tables and the output."""
        fed = [Place(name=feed.table.name, path=feed.path, feed=feed) for feed in feeds]
        return Upkeep(spark=spark, places=(*fed, Place(name="the output", path=output)))

    def after(self, plan: Plan) -> None:
        """To be called between a commit and the next micro-batch."""
        for place in self.places:
            if place.feed is None or _appended(plan, place.feed):
                try:
                    self._count(place)
                except (PySparkException, Py4JJavaError) as error:
                    self._warn(place, cause_of(error))

    def _count(self, place: Place) -> None:
        # what an earlier process appended counts too; this commit's own append stands in the log by now
        known = self._appends.get(place.name)
        self._appends[place.name] = _since_last(self.spark, place) if known is None else known + 1
        if self._appends[place.name] < EVERY:
            return
        self._appends[place.name] = 0
        waiting = delta.bytes_to_compact(self.spark, place.path)
        if waiting > MOST_BYTES:
            self._warn(
                place, f"{waiting / 2**30:.1f} GiB is too much between two micro-batches; run OPTIMIZE on it once"
            )
            return
        delta.compact(self.spark, place.path)
        log.info("%s: compacted", place.name)

    def _warn(self, place: Place, reason: str) -> None:
        if place.name not in self._warned:
            self._warned.add(place.name)
            log.warning("%s: not compacted: %s", place.name, reason)


def _appended(plan: Plan, feed: Feed) -> bool:
    assert isinstance(plan.input, Offsets)
    return any(start < until for start, until in plan.input.ranges.get(feed.topic.topic, {}).values())


def _since_last(spark: SparkSession, place: Place) -> int:
    entries = delta.history(spark, place.path, newest=EVERY)
    return sum(entry.operation == "WRITE" for entry in takewhile(lambda e: e.operation != "OPTIMIZE", entries))
