"""The runner of the real-time lane: the query that scores, the landing behind it, and their refreshes and restarts."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_scoring import errors
from spark_scoring.io import checkpoint, files, kafka
from spark_scoring.io.broker import TopicState
from spark_scoring.run import generation, inputs, ledger, owner, serving
from spark_scoring.run.faults import protected, reached
from spark_scoring.run.generation import Consent
from spark_scoring.run.lane import query, runs
from spark_scoring.run.lane.begin import Start, check_topics_of, fit_of, forget_unfit, rows_start, standing
from spark_scoring.run.lane.landing import Landing
from spark_scoring.run.lane.runs import Run
from spark_scoring.run.lease import Lease, held
from spark_scoring.run.ledger import Standing
from spark_scoring.run.outages import Outages
from spark_scoring.run.prepared import Prepared
from spark_scoring.run.records import new_id
from spark_scoring.run.serving import Serving
from spark_scoring.run.stream import MOST_ROWS, POLL_S, Progress, Stopped, trigger_of
from spark_scoring.run.upkeep import Upkeep
from spark_scoring.spec.job import Job

log = logging.getLogger(__name__)

# how often the registry and the tables are asked for something newer
LOOK_S = 5.0


def realtime(
    spark: SparkSession,
    job: Job,
    *,
    once: bool,
    now: Callable[[], datetime],
    stop: threading.Event,
    progress: Progress = lambda _: None,
    patience: timedelta | None = None,
) -> None:
    """Score the rows topic onto the topic of scores and land those, until `stop` is set; see `stream`.

    With `once`: until what the rows topic holds now is landed.

    Raises: as `stream`. ConfigError: a model or step cannot run on the lane, or there are too few task slots.
    """
    once = once or job.trigger.every is None
    found = fit_of(spark, job, stop=stop, patience=patience)
    if found is None:
        return
    models, states = found
    with held(spark, job, wait=stop.wait) as lease:
        lane = _lane(spark, job, models, states, now=now, stop=stop, progress=progress, lease=lease, once=once)
        with closing(lane.prepared), closing(lane.upkeep):
            while not lane.completed():
                if not lane.outages.over(stop=stop):
                    return


def _lane(
    spark: SparkSession, job: Job, models: Serving, states: Mapping[str, TopicState], *, now: Callable[[], datetime],
    stop: threading.Event, progress: Progress, lease: Lease, once: bool,
) -> "_Lane":  # fmt: skip
    # read again: another stream may have committed until the lease was ours
    known, scores = standing(spark, job), str(job.output.topic)
    check_topics_of(known, states, job=job)
    assert job.stream is not None
    owner.own(spark, job, known, topics=states)
    forget_unfit(spark, job, states[job.stream.topic])
    begin = {} if known.begun else runs.landing_start(spark, job, states[scores].latest)
    if not known.begun and known.there and not files.exists(spark, generation.checkpoint_of(job)):
        consent = Consent(by="stream", at=now().isoformat(timespec="seconds"))
        generation.begin(spark, job, {scores: states[scores]}, consent=consent, ends={scores: begin})
        known = ledger.standing(spark, str(job.output.stream), job=job.name)
    return _Lane(
        spark=spark,
        job=job,
        states=states,
        now=now,
        stop=stop,
        progress=progress,
        lease=lease,
        once=once,
        known=known,
        begin=begin,
        serving=models,
        prepared=Prepared(spark=spark),
        upkeep=Upkeep.of_stream(spark, (), output=str(job.output.stream)),
        outages=Outages(spark=spark, job=job, topics=tuple(states)),
    )


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """What the next run needs, made while the one before goes on."""

    run: Run
    serving: Serving
    frame: DataFrame
    after_batch: int | None


@dataclass(kw_only=True)
class _Lane:
    """The mutable end of the lane: two queries, watched by the main thread; Spark calls `micro_batch` on another."""

    spark: SparkSession
    job: Job
    states: Mapping[str, TopicState]
    now: Callable[[], datetime]
    stop: threading.Event
    progress: Progress
    lease: Lease
    once: bool
    known: Standing
    begin: Mapping[int, int]
    serving: Serving
    prepared: Prepared
    upkeep: Upkeep
    outages: Outages
    landing: Landing | None = None
    run: Run | None = None
    failure: Exception | None = None
    _looked: float = field(default_factory=time.monotonic)

    @property
    def rows_topic(self) -> str:
        assert self.job.stream is not None
        return self.job.stream.topic

    def completed(self) -> bool:
        """Run both queries to their end; false where they ended because the broker went away."""
        self.failure, began = None, time.monotonic()
        landing = None
        try:
            scoring = self._started(self._next())
            if not self.once:
                landing = self._landing(once=False)
            self._watch(scoring, landing)
            if self.once and not self.stop.is_set():
                landing = self._landing(once=True)
                self._await(landing)
        except StreamingQueryException as error:
            if self.failure is None and self.stop.is_set():
                return True
            self.outages.check(error, failure=self.failure, began=began, fit=self.check_topics)
            return False
        finally:
            for running in self.spark.streams.active:
                if running.name in (f"{self.job.name} realtime", self.job.name):
                    running.stop()
        return True

    def _watch(self, scoring: StreamingQuery, landing: StreamingQuery | None) -> None:
        """Until there is nothing more to do; new tables and models are taken at the end of a batch."""
        target, following = self.states[self.rows_topic].latest, None
        while not self.stop.is_set():
            if landing is not None and landing.awaitTermination(0.001):  # type: ignore[arg-type]
                raise errors.lane_ended("the landing ended")
            if scoring.awaitTermination(POLL_S / 2):  # type: ignore[arg-type]
                raise errors.lane_ended("Spark stopped it")
            self.lease.check(self.job.path)
            if self.once and self._reached(target):
                scoring.stop()
                return
            following = following or self._renewed(scoring)
            if following is not None and _batch_of(scoring) != following.after_batch:
                began = time.monotonic()
                scoring.stop()
                scoring, following = self._started(following), None
                log.info("%s: refreshed, the query began again after %.1f s", self.job.name, time.monotonic() - began)
        scoring.stop()
        if landing is not None:
            self._await(landing)

    def _await(self, landing: StreamingQuery) -> None:
        """Until it has ended, or was told to stop and has finished the micro-batch at work."""
        while not landing.awaitTermination(POLL_S):  # type: ignore[arg-type]
            if self.stop.is_set() and not landing.status["isTriggerActive"]:
                return

    def _reached(self, target: Mapping[int, int]) -> bool:
        done = checkpoint.committed(self.spark, runs.checkpoint_of(self.job), job=self.job.path)
        return done is not None and all(done.get(self.rows_topic, {}).get(p, 0) >= end for p, end in target.items())

    def _renewed(self, scoring: StreamingQuery) -> _Ready | None:
        """The next run, if an alias or a table has moved."""
        if self.once or time.monotonic() - self._looked < LOOK_S:
            return None
        self._looked = time.monotonic()
        assert self.run is not None
        models = serving.renewed(self.spark, self.job, self.serving)
        tables = inputs.pin_tables(self.spark, self.job, inputs.one_wide(models.models))
        planned = self.run.plan.tables, self.run.plan.table_ids
        if models.uris == self.serving.uris and (tables.versions, tables.ids) == planned:
            self.serving = models
            return None
        return self._next(models, after_batch=_batch_of(scoring))

    def _next(self, models: Serving | None = None, *, after_batch: int | None = None) -> _Ready:
        models = models or self.serving
        tables = inputs.pin_tables(self.spark, self.job, inputs.one_wide(models.models))
        state, clock = self.states[self.rows_topic], self.now()
        pins = inputs.model_pins(models.models)
        run_id = new_id(clock)
        plan = runs.plan_of(self.job, run_id, clock=clock, tables=tables, models=pins)
        frame = query.scores(
            self.spark, self.job, serving=models, tables=self.prepared.at(tables), topic_id=state.topic_id,
            start=self._start().offsets,
        )  # fmt: skip
        run = Run(run_id=run_id, plan=plan, topic_id=state.topic_id, start={}, schema=frame.schema)
        return _Ready(run=run, serving=models, frame=frame, after_batch=after_batch)

    def _start(self) -> Start:
        return rows_start(self.spark, self.job, self.known, self.states[self.rows_topic])

    def _started(self, ready: _Ready) -> StreamingQuery:
        # where it begins is known only now that no other query scores
        start = self._start()
        run = replace(ready.run, start=start.offsets, anew=start.anew)
        runs.write(self.spark, self.job, run)
        self.run, self.serving = run, ready.serving
        if self.landing is not None:
            self.landing.current = run
        reached("lane_run_written")
        partitions = len(self.states[str(self.job.output.topic)].latest)
        found = query.start(ready.frame, job=self.job, run=run, models=ready.serving.models, partitions=partitions)
        log.info("%s: run %s scores", self.job.name, run.run_id)
        return found

    def _landing(self, *, once: bool) -> StreamingQuery:
        assert self.job.kafka is not None and self.run is not None
        topic = str(self.job.output.topic)
        begin = {topic: {str(p): self.begin.get(p, 0) for p in self.states[topic].latest}}
        scores = {topic: self.states[topic]}
        starting = generation.starting(self.known, scores, otherwise="") or begin
        most = self.job.kafka.max_rows_per_batch or MOST_ROWS
        records = kafka.stream(
            self.spark, self.job.kafka, [topic], starting=starting, most=most, headers=True,
            fail_on_loss=protected("retention"),
        )  # fmt: skip
        self.landing = Landing(
            spark=self.spark, job=self.job, generation="", now=self.now, known=self.known, current=self.run,
            begin=self.begin,
        )  # fmt: skip
        writer = records.writeStream.foreachBatch(self.micro_batch).queryName(self.job.name)
        writer = writer.option("checkpointLocation", generation.checkpoint_of(self.job))
        return writer.trigger(**trigger_of(self.job, once=once)).start()

    def micro_batch(self, records: DataFrame, batch_id: int) -> None:
        """Called by Spark for each micro-batch of the landing."""
        if self.stop.is_set():
            raise Stopped
        try:
            self.lease.check(self.job.path)
            self._land(records, batch_id)
        except Exception as error:
            self.failure = error
            raise

    def _land(self, records: DataFrame, batch_id: int) -> None:
        assert self.landing is not None
        if not self.landing.generation:
            place = generation.checkpoint_of(self.job)
            self.landing.generation = checkpoint.query_id(self.spark, place, job=self.job.path) or ""
        self.landing.refused = tuple(name for name, _ in self.serving.refused)
        for plan in self.landing.commits(records, batch_id):
            self.known = self.landing.known
            self.progress(plan)
            self.upkeep.after(plan)

    def check_topics(self, states: Mapping[str, TopicState]) -> None:
        check_topics_of(self.known, states, job=self.job)


def _batch_of(scoring: StreamingQuery) -> int | None:
    """The newest batch that was completed."""
    progress = scoring.lastProgress
    return None if progress is None else int(progress["batchId"])
