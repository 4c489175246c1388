"""The stream runner: Spark's micro-batches over Kafka, each one commit, until it is told to stop."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_scoring import errors
from spark_scoring.io import checkpoint, delta, files, kafka
from spark_scoring.io.broker import TopicState, Watch
from spark_scoring.run import check, fed_tables, feeds, generation, inputs, ledger, micro_batch, owner, serving
from spark_scoring.run.faults import protected
from spark_scoring.run.feeds import Feed, FeedEnds
from spark_scoring.run.generation import Consent
from spark_scoring.run.lease import Lease, held
from spark_scoring.run.ledger import Standing
from spark_scoring.run.micro_batch import Context
from spark_scoring.run.outages import FIRST_CONTACT, OUTAGE, Outages, wait_for_broker
from spark_scoring.run.prepared import Prepared
from spark_scoring.run.serving import Serving
from spark_scoring.run.topics import check_topics
from spark_scoring.run.upkeep import Upkeep
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Plan

log = logging.getLogger(__name__)

POLL_S = 0.2
# what a job that sets no bound may hold in memory at once
MOST_ROWS = 50_000

Progress = Callable[[Plan], None]


def stream(
    spark: SparkSession,
    job: Job,
    *,
    once: bool,
    now: Callable[[], datetime],
    stop: threading.Event,
    progress: Progress = lambda _: None,
    patience: timedelta | None = None,
) -> None:
    """Score the rows topic until `stop` is set, or with `once` until its backlog is worked off.

    `patience`: how long a broker that does not answer at the start is waited for; without it 30 s at the very first
    start, and 10 minutes once the output has commits.

    Raises: ConfigError: the job has no stream. StateError: the checkpoint does not fit the output's log; nothing was
    written. RunError: a topic, table or model is not fit, or the broker stayed away.
    """
    if job.stream is None or job.kafka is None or job.output.stream is None:
        raise errors.missing_part(job.path, part="rows.stream, kafka and output.stream", command="stream")
    fit = _fit(spark, job, stop=stop, patience=patience)
    if fit is None:
        return
    with held(spark, job, wait=stop.wait) as lease:
        runner = _runner(spark, job, fit, now=now, stop=stop, progress=progress, lease=lease)
        with closing(runner.prepared), closing(runner.watch), closing(runner.upkeep):
            while not _completed(runner, once=once):
                if not runner.outages.over(stop=stop):
                    return


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """What was found fit before anything was written: models, feeds, and the topics as the broker has them."""

    serving: Serving
    feeds: tuple[Feed, ...]
    states: dict[str, TopicState]


def _fit(spark: SparkSession, job: Job, *, stop: threading.Event, patience: timedelta | None) -> _Fit | None:
    """Everything that a stream needs, checked before its first row; None if it was stopped meanwhile."""
    target = str(job.output.stream)
    known = ledger.standing(spark, target, job=job.name)
    generation.check(spark, job, known)
    models = serving.begin(spark, job)
    wide = inputs.one_wide(models.models)
    check.analyse(spark, job, models.models, target=target)
    owner.check(spark, job, known, topics=generation.topics_of(job))
    generation.check_left_out(spark, job)
    fed = feeds.feeds_of(spark, job, wide)
    for feed in fed:
        before = fed_tables.as_read(known, feed.table.name)
        fed_tables.check(feed, delta.version_of(spark, feed.path), before=before, job=job)
    topics = [str(job.stream and job.stream.topic), *[feed.topic.topic for feed in fed]]
    patience = patience or (OUTAGE if known.begun else FIRST_CONTACT)
    states = wait_for_broker(spark, job, topics, patience_s=patience.total_seconds(), stop=stop)
    if states is None:
        return None
    check_topics(known, states, job=job.path)
    return _Fit(serving=models, feeds=fed, states=states)


def _runner(
    spark: SparkSession,
    job: Job,
    fit: _Fit,
    *,
    now: Callable[[], datetime],
    stop: threading.Event,
    progress: Progress,
    lease: Lease,
) -> "_Runner":
    assert job.kafka is not None
    ids = {topic: state.topic_id for topic, state in fit.states.items()}
    for feed in fit.feeds:
        feeds.claim(spark, job, feed)
    # read again: another stream may have committed until the lease was ours
    known = _standing(spark, job, fit, now=now)
    return _Runner(
        spark=spark,
        job=job,
        records=_records(spark, job, known, fit.states),
        feeds=fit.feeds,
        feed_ends={f.table.name: feeds.ends_of(spark, f, job=job, topic_id=ids[f.topic.topic]) for f in fit.feeds},
        now=now,
        stop=stop,
        progress=progress,
        known=known,
        serving=fit.serving,
        prepared=Prepared.of_stream(spark, job),
        watch=Watch(spark=spark, kafka=job.kafka),
        upkeep=Upkeep.of_stream(spark, fit.feeds, output=str(job.output.stream)),
        lease=lease,
        outages=Outages(spark=spark, job=job, topics=tuple(fit.states)),
    )


def _standing(spark: SparkSession, job: Job, fit: _Fit, *, now: Callable[[], datetime]) -> Standing:
    target = str(job.output.stream)
    known = ledger.standing(spark, target, job=job.name)
    generation.check(spark, job, known)
    owner.own(spark, job, known, topics=fit.states)
    check_topics(known, fit.states, job=job.path)
    if not known.begun and known.there and not files.exists(spark, generation.checkpoint_of(job)):
        consent = Consent(by="stream", at=now().isoformat(timespec="seconds"))
        generation.begin(spark, job, fit.states, consent=consent)
        known = ledger.standing(spark, target, job=job.name)
    return known


def _records(spark: SparkSession, job: Job, known: Standing, states: Mapping[str, TopicState]) -> DataFrame:
    assert job.kafka is not None
    return kafka.stream(
        spark,
        job.kafka,
        list(states),
        starting=generation.starting(known, states, otherwise=job.kafka.start),
        most=job.kafka.max_rows_per_batch or MOST_ROWS,
        fail_on_loss=protected("retention"),
    )


class Stopped(Exception):
    """Ends a query that was asked to stop while it had more to do."""


@dataclass(kw_only=True)
class _Runner:
    """The mutable end of a stream: called once per micro-batch by Spark, on a thread of its own."""

    spark: SparkSession
    job: Job
    records: DataFrame
    feeds: tuple[Feed, ...]
    feed_ends: Mapping[str, FeedEnds]
    now: Callable[[], datetime]
    stop: threading.Event
    progress: Progress
    known: Standing
    serving: Serving
    prepared: Prepared
    watch: Watch
    upkeep: Upkeep
    lease: Lease
    outages: Outages
    generation: str = ""
    failure: Exception | None = None

    def micro_batch(self, records: DataFrame, batch_id: int) -> None:
        if self.stop.is_set():
            # the micro-batch before this one is complete; this one is planned again at the next start
            raise Stopped
        try:
            self.lease.check(self.job.path)
            self._commit(records, batch_id)
        except Exception as error:
            self.failure = error
            raise

    def check_topics(self, states: Mapping[str, TopicState]) -> None:
        check_topics(self.known, states, job=self.job.path)

    def _commit(self, records: DataFrame, batch_id: int) -> None:
        context = Context(
            spark=self.spark,
            job=self.job,
            generation=self._generation(),
            feeds=self.feeds,
            feed_ends=self.feed_ends,
            now=self.now,
            prepared=self.prepared,
            watch=self.watch,
        )
        self.serving = serving.renewed(self.spark, self.job, self.serving)
        before = self.known.newest
        self.known = micro_batch.commit(records, batch_id, context=context, known=self.known, serving=self.serving)
        if self.known.newest is not None and self.known.newest is not before:
            self.progress(self.known.newest)
            self.upkeep.after(self.known.newest)

    def _generation(self) -> str:
        if not self.generation:
            place = generation.checkpoint_of(self.job)
            self.generation = checkpoint.query_id(self.spark, place, job=self.job.path) or ""
        return self.generation


def _completed(runner: _Runner, *, once: bool) -> bool:
    """Run the query to its end; false where it ended because the broker went away."""
    runner.failure, began = None, time.monotonic()
    writer = runner.records.writeStream.foreachBatch(runner.micro_batch).queryName(runner.job.name)
    writer = writer.option("checkpointLocation", generation.checkpoint_of(runner.job))
    query = writer.trigger(**trigger_of(runner.job, once=once)).start()
    log.info("%s: reading", runner.job.name)
    try:
        _until_done(query, runner)
    except StreamingQueryException as error:
        if runner.failure is None and runner.stop.is_set():
            return True
        runner.outages.check(error, failure=runner.failure, began=began, fit=runner.check_topics)
        return False
    finally:
        query.stop()
    return True


def trigger_of(job: Job, *, once: bool) -> dict[str, Any]:
    """How often Spark makes a micro-batch of the job."""
    every = job.trigger.every
    if once or every is None:
        return {"availableNow": True}
    return {"processingTime": f"{int(every.total_seconds() * 1000)} milliseconds"}


def _until_done(query: StreamingQuery, runner: _Runner) -> None:
    while not query.awaitTermination(POLL_S):  # type: ignore[arg-type]
        idle = not query.status["isTriggerActive"]
        if runner.stop.is_set() and idle:
            return
        if idle:
            runner.lease.check(runner.job.path)
