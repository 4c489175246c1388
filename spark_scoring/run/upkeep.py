"""Upkeep of fed tables: each micro-batch appends a small file, and every so often few are made of many."""

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


@dataclass(kw_only=True)
class Upkeep:
    """Counts what was appended to each fed table, and compacts it after `EVERY` appends. It never stops a stream."""

    spark: SparkSession
    feeds: tuple[Feed, ...]
    _appends: dict[str, int] = field(default_factory=dict)
    _warned: set[str] = field(default_factory=set)

    def after(self, plan: Plan) -> None:
        """To be called between a commit and the next micro-batch."""
        for feed in self.feeds:
            if _appended(plan, feed):
                try:
                    self._count(feed)
                except (PySparkException, Py4JJavaError) as error:
                    self._warn(feed, cause_of(error))

    def _count(self, feed: Feed) -> None:
        name = feed.table.name
        # what an earlier process appended counts too; this commit's own append stands in the log by now
        known = self._appends.get(name)
        self._appends[name] = _since_last(self.spark, feed) if known is None else known + 1
        if self._appends[name] < EVERY:
            return
        self._appends[name] = 0
        waiting = delta.bytes_to_compact(self.spark, feed.path)
        if waiting > MOST_BYTES:
            self._warn(
                feed, f"{waiting / 2**30:.1f} GiB is too much between two micro-batches; run OPTIMIZE on it once"
            )
            return
        delta.compact(self.spark, feed.path)
        log.info("%s: compacted", name)

    def _warn(self, feed: Feed, reason: str) -> None:
        if feed.table.name not in self._warned:
            self._warned.add(feed.table.name)
            log.warning("%s: not compacted: %s", feed.table.name, reason)


def _appended(plan: Plan, feed: Feed) -> bool:
    assert isinstance(plan.input, Offsets)
    return any(start < until for start, until in plan.input.ranges.get(feed.topic.topic, {}).values())


def _since_last(spark: SparkSession, feed: Feed) -> int:
    entries = delta.history(spark, feed.path, newest=EVERY)
    return sum(entry.operation == "WRITE" for entry in takewhile(lambda e: e.operation != "OPTIMIZE", entries))
