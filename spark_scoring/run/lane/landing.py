"""The landing: scores from their topic to the output table, each record of the rows once, each commit one plan.

The lane is at-least-once: after a crash it scores again what its last checkpoint did not hold. All scores of one
partition of the rows stand in one partition in order, so only a score of an offset that the ledger has passed can be
a repeated one, and only those are looked for in the table.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import reduce

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import broker, checkpoint
from spark_scoring.jvm.functions import ready
from spark_scoring.run import ledger
from spark_scoring.run.faults import protected, reached
from spark_scoring.run.generation import checkpoint_of
from spark_scoring.run.lane import message, runs
from spark_scoring.run.lane.runs import Run
from spark_scoring.run.ledger import Standing
from spark_scoring.run.micro_batch import brake
from spark_scoring.run.once import commit_once
from spark_scoring.run.topics import check_topics
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Counts, Landed, Offsets, Plan, Ranges

log = logging.getLogger(__name__)

# of one micro-batch, which is one commit for each run that made its scores
MOST_COMMITS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Span:
    """Of one run in one micro-batch, the scores of one partition of the rows: offsets `first` to `last`."""

    run: str
    partition: int
    first: int
    last: int
    scores: int
    rows: int


@dataclass(kw_only=True)
class Landing:
    """What the micro-batches of the landing share. `current`: the run that stands for a commit without rows."""

    spark: SparkSession
    job: Job
    generation: str
    now: Callable[[], datetime]
    known: Standing
    current: Run
    begin: Mapping[int, int] = field(default_factory=dict)
    partitions: tuple[int, ...] = ()
    refused: tuple[str, ...] = ()
    _runs: dict[str, Run] = field(default_factory=dict)

    def commits(self, records: DataFrame, batch_id: int) -> Iterable[Plan]:
        """Make the commits of a micro-batch that are not in the ledger yet; each as it is made.

        Raises: StateError: the offsets do not continue the ledger, or a run is not on record. RunError: the brake.
        """
        ranges = checkpoint.batch_ranges(self.spark, checkpoint_of(self.job), batch_id, job=self.job.path)
        done = self._done(batch_id, ranges)
        if done == MOST_COMMITS:
            return
        ids = self._check(ranges, batch_id=batch_id)
        said = message.said_of(records).persist()
        try:
            spans, foreign = self._spans(said)
            found = sorted({span.run for span in spans}) or [self.current.run_id]
            for place, name in enumerate(found):
                last = place == len(found) - 1
                number = MOST_COMMITS - 1 if last else place
                if number <= done:
                    continue
                # the last one tells that the scores were read: were it the first, a crash would lose the others
                own = ranges if last else {t: {p: (a, a) for p, (a, _) in spans.items()} for t, spans in ranges.items()}
                plan = self._plan(name, [span for span in spans if span.run == name], own, ids=ids)
                plan = replace(plan, commit_id=self._commit_id(batch_id, number))
                yield self._landed(said, plan, [s for s in spans if s.run == name], foreign=foreign if last else 0)
        finally:
            said.unpersist()

    def _commit_id(self, batch_id: int, number: int) -> str:
        last = number == MOST_COMMITS - 1
        return f"{self.job.name}/{self.generation}/{batch_id}" + ("" if last else f".{number}")

    def _done(self, batch_id: int, ranges: Ranges) -> int:
        """The number of the newest commit of this micro-batch that the ledger holds; -1 for none."""
        newest = self.known.newest
        own = self._commit_id(batch_id, MOST_COMMITS - 1)
        if newest is None or newest.commit_id.split(".")[0] != own or not protected("ledger"):
            return -1
        if newest.commit_id != own:
            return int(newest.commit_id.rsplit(".", 1)[1])
        assert isinstance(newest.input, Offsets)
        if any(newest.input.ranges.get(topic) != spans for topic, spans in ranges.items()):
            raise errors.foreign_checkpoint(self.job.path, commit_id=own)
        log.info("%s: in the table already", own)
        return MOST_COMMITS

    def _check(self, ranges: Ranges, *, batch_id: int) -> dict[str, str]:
        """Nothing is skipped, and the topics are the ones that were read; the id of that of scores."""
        assert self.job.kafka is not None and self.job.stream is not None
        rows = self.job.stream.topic
        found = broker.topic_states(self.spark, self.job.kafka, [*ranges, rows])
        scores = {topic: found[topic] for topic in ranges}
        check_topics(self.known, scores, job=self.job.path)
        # asked for after the scores were made: what was read of a new topic would have the old one's id
        if protected("topic_id") and found[rows].topic_id != self.current.topic_id:
            raise errors.topic_created_again(rows, job=self.job.path)
        if self.known.begun:
            if protected("ledger"):
                ledger.check_continues(self.known.ends, ranges, job=self.job.path)
        elif batch_id > 0:
            raise errors.lost_output(self.job.path, table=str(self.job.output.stream), batch_id=batch_id)
        else:
            ledger.check_continues({str(self.job.output.topic): self.begin}, ranges, job=self.job.path)
        self.partitions = tuple(found[rows].latest)
        return {topic: state.topic_id for topic, state in scores.items()}

    def _spans(self, said: DataFrame) -> tuple[list[Span], int]:
        """What the records say of themselves, and how many are nobody's scores."""
        counted = said.groupBy("run", "topic_id", "partition").agg(
            F.min("offset").alias("first"), F.max("offset").alias("last"), F.count(F.lit(1)).alias("scores"),
            F.count_distinct("offset").alias("rows"),
        )  # fmt: skip
        spans, foreign = [], 0
        for row in counted.collect():
            run = self._run_of(row["run"])
            if run is None or row["topic_id"] != run.topic_id or row["partition"] not in self.partitions:
                foreign += row["scores"]
                continue
            numbers = {name: row[name] for name in ("partition", "first", "last", "scores", "rows")}
            spans.append(Span(run=run.run_id, **numbers))
        if foreign:
            log.warning("%s: %d records are no scores of this job, they are left out", self.job.output.topic, foreign)
        return spans, foreign

    def _run_of(self, said: str | None) -> Run | None:
        """The run that a record names; None where it is another job's, of a state before this one, or of a topic of
        rows that is gone."""
        job, _, run_id = (said or "").rpartition("/")
        if job != self.job.name:
            return None
        if run_id not in self._runs:
            found = runs.read(self.spark, self.job, run_id)
            if found is None:
                if runs.is_lost(self.spark, self.job, run_id, current=self.current.run_id):
                    folder = runs.folder_of(self.job)
                    raise errors.unknown_run(str(self.job.output.topic), run=run_id, folder=folder, job=self.job.path)
                return None
            self._runs[run_id] = found
        run = self._runs[run_id]
        return run if run.topic_id == self.current.topic_id else None

    def _plan(self, run_id: str, spans: Sequence[Span], ranges: Ranges, *, ids: Mapping[str, str]) -> Plan:
        assert self.job.stream is not None
        topic, run = self.job.stream.topic, self._runs.get(run_id, self.current)
        before = self.known.ends.get(topic, {})
        # all partitions, as the newest commit alone says how far each is
        reached_by = {p: (end, end) for p, end in before.items()} | {
            span.partition: (start, max(start, span.last + 1))
            for span in spans
            for start in [before.get(span.partition, run.start.get(span.partition, 0))]
        }
        offsets = Offsets(
            ranges={**ranges, topic: reached_by},
            topic_ids={**ids, topic: run.topic_id},
            landed=Landed(run=run_id, start=run.start),
        )
        return replace(run.plan, clock=self.now(), input=offsets, refused=self.refused)

    def _landed(self, said: DataFrame, plan: Plan, spans: Sequence[Span], *, foreign: int) -> Plan:
        assert isinstance(plan.input, Offsets) and plan.input.landed is not None
        run = self._runs.get(plan.input.landed.run, self.current)
        scores = sum(span.scores for span in spans)

        def counted(plan: Plan, counts: Counts) -> Plan:
            assert isinstance(plan.input, Offsets) and plan.input.landed is not None
            landed = replace(plan.input.landed, repeated=scores - counts.rows, foreign=foreign)
            return replace(plan, counts=counts, input=replace(plan.input, landed=landed))

        self.known = self._commit_once(self._rows(said, run, spans), plan, counted=counted)
        reached("after_commit")
        assert self.known.newest is not None
        brake(self.job, self.known.newest)
        return self.known.newest

    def _rows(self, said: DataFrame, run: Run, spans: Sequence[Span]) -> DataFrame:
        ready(said.sparkSession)
        own = said.where((F.col("run") == f"{self.job.name}/{run.run_id}") & (F.col("topic_id") == run.topic_id))
        own = own.where(F.col("partition").isin([span.partition for span in spans]))
        if any(span.rows < span.scores for span in spans):
            # of one run all scores of a record are equal
            own = own.dropDuplicates(["partition", "offset"])
        if protected("repeated"):
            own = self._new(own, run, spans)
        return own.select(message.row_of(run).alias("__row")).where("__row is not null").select("__row.*")

    def _new(self, own: DataFrame, run: Run, spans: Sequence[Span]) -> DataFrame:
        """Without what is in the table already."""
        assert self.job.stream is not None
        passed = self.known.ends.get(self.job.stream.topic, {})
        again = [(s.partition, s.first, passed[s.partition]) for s in spans if s.first < passed.get(s.partition, 0)]
        if not again or not self.known.there:
            return own
        table = self.spark.read.format("delta").load(str(self.job.output.stream))
        there = table.where(_any_of(_between(*place) for place in again) & (F.col("source.topic_id") == run.topic_id))
        keys = there.selectExpr("source.partition", "source.offset")
        return own.join(F.broadcast(keys), ["partition", "offset"], "left_anti")

    def _commit_once(self, frame: DataFrame, plan: Plan, *, counted: Callable[[Plan, Counts], Plan]) -> Standing:
        batch_id, _, number = plan.commit_id.rsplit("/", 1)[1].partition(".")
        version = int(batch_id) * MOST_COMMITS + (int(number) if number else MOST_COMMITS - 1)
        return commit_once(
            self.spark, frame, plan, job=self.job, generation=self.generation, version=version,
            known=self.known, counted=counted,
        )  # fmt: skip


def _between(partition: int, first: int, until: int) -> Column:
    offset = F.col("source.offset")
    return (F.col("source.partition") == partition) & (offset >= first) & (offset < until)


def _any_of(conditions: Iterable[Column]) -> Column:
    return reduce(Column.__or__, conditions)
