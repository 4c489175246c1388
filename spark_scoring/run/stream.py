"""The stream runner: Spark's micro-batches over Kafka, each one commit, until it is told to stop."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_scoring import errors
from spark_scoring.io import checkpoint, kafka
from spark_scoring.run import check, feeds, generation, inputs, ledger, micro_batch, serving
from spark_scoring.run.micro_batch import Context, Ledger
from spark_scoring.run.prepared import Prepared
from spark_scoring.run.serving import Serving
from spark_scoring.run.upkeep import Upkeep
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Plan

log = logging.getLogger(__name__)

FIRST_CONTACT = timedelta(seconds=30)
OUTAGE = timedelta(minutes=10)
ANSWER_S = 10.0
POLL_S = 0.2
# a query that ends for the broker's sake this often in a row, each time this soon, has another ailment
MOST_BRIEF = 10
LONG_ENOUGH_S = 60.0
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
    committed = ledger.stream_commits(spark, job.output.stream, job=job.name)
    start = generation.start_of(spark, job, committed)
    models = serving.begin(spark, job)
    wide = inputs.one_wide(models.models)
    check.analyse(spark, job, models.models, target=job.output.stream)
    fed = feeds.feeds_of(spark, job, wide)
    topics = [job.stream.topic, *[feed.topic.topic for feed in fed]]
    patience = patience or (OUTAGE if committed else FIRST_CONTACT)
    if not wait_for_broker(spark, job, topics, patience_s=patience.total_seconds(), stop=stop):
        return
    for feed in fed:
        feeds.claim(spark, job, feed)
    records = kafka.stream(
        spark, job.kafka, topics, starting=start.offsets, most=job.kafka.max_rows_per_batch or MOST_ROWS
    )
    known = Ledger(newest=committed[-1].plan if committed else None, ends=ledger.ends(c.plan for c in committed))
    prepared = Prepared.of_stream(spark, job)
    runner = _Runner(
        spark=spark,
        job=job,
        feeds=fed,
        now=now,
        stop=stop,
        progress=progress,
        known=known,
        serving=models,
        prepared=prepared,
        upkeep=Upkeep(spark=spark, feeds=fed),
    )
    with closing(prepared):
        while not _completed(runner, records, once=once):
            log.warning("%s: Kafka does not answer, nothing is lost", job.name)
            if not wait_for_broker(spark, job, topics, patience_s=OUTAGE.total_seconds(), stop=stop):
                return


def wait_for_broker(
    spark: SparkSession, job: Job, topics: list[str], *, patience_s: float, stop: threading.Event
) -> bool:
    """True when the broker answers and has the topics, False when `stop` was set meanwhile.

    Raises: RunError: a topic is missing, or there was no answer within `patience_s`.
    """
    assert job.kafka is not None
    until = time.monotonic() + patience_s
    while not stop.is_set():
        left_s = until - time.monotonic()
        try:
            # asked for at least a second: connecting takes time even where all is well
            kafka.topic_states(spark, job.kafka, topics, timeout_ms=int(min(max(left_s, 1), ANSWER_S) * 1000))
            return True
        except errors.BrokerAwayError as away:
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise
            log.warning("%s Waiting up to %d s more.", away, int(left_s) + 1)
            stop.wait(min(1, left_s))
    return False


class _Stopped(Exception):
    """Ends a query that was asked to stop while it had more to do."""


@dataclass(kw_only=True)
class _Runner:
    """The mutable end of a stream: called once per micro-batch by Spark, on a thread of its own."""

    spark: SparkSession
    job: Job
    feeds: tuple[feeds.Feed, ...]
    now: Callable[[], datetime]
    stop: threading.Event
    progress: Progress
    known: Ledger
    serving: Serving
    prepared: Prepared
    upkeep: Upkeep
    generation: str = ""
    brief: int = 0
    failure: Exception | None = None

    def micro_batch(self, records: DataFrame, batch_id: int) -> None:
        if self.stop.is_set():
            # the micro-batch before this one is complete; this one is planned again at the next start
            raise _Stopped
        try:
            self._commit(records, batch_id)
        except Exception as error:
            self.failure = error
            raise

    def _commit(self, records: DataFrame, batch_id: int) -> None:
        context = Context(
            spark=self.spark,
            job=self.job,
            generation=self._generation(),
            feeds=self.feeds,
            now=self.now,
            prepared=self.prepared,
        )
        self.serving = serving.renewed(self.spark, self.job, self.serving)
        before = self.known.newest
        self.known = micro_batch.commit(records, batch_id, context=context, known=self.known, serving=self.serving)
        if self.known.newest is not None and self.known.newest is not before:
            self.progress(self.known.newest)
            self.upkeep.after(self.known.newest)

    def _generation(self) -> str:
        if not self.generation:
            self.generation = checkpoint.query_id(self.spark, generation.checkpoint_of(self.job)) or ""
        return self.generation


def _completed(runner: _Runner, records: DataFrame, *, once: bool) -> bool:
    """Run the query to its end; false where it ended because the broker went away."""
    runner.failure, began = None, time.monotonic()
    writer = records.writeStream.foreachBatch(runner.micro_batch).queryName(runner.job.name)
    writer = writer.option("checkpointLocation", generation.checkpoint_of(runner.job))
    query = writer.trigger(**_trigger(runner.job, once=once)).start()
    log.info("%s: reading", runner.job.name)
    try:
        _until_done(query, runner)
    except StreamingQueryException as error:
        if runner.failure is None and runner.stop.is_set():
            return True
        runner.brief = runner.brief + 1 if time.monotonic() - began < LONG_ENOUGH_S else 0
        if runner.brief > MOST_BRIEF or not _broker_went_away(runner, error):
            raise (runner.failure or error) from error
        return False
    finally:
        query.stop()
    return True


def _broker_went_away(runner: _Runner, error: StreamingQueryException) -> bool:
    # it may be back by now, so what its client said counts too
    if isinstance(runner.failure, errors.BrokerAwayError) or kafka.is_retriable(runner.spark, error):
        return True
    assert runner.job.kafka is not None and runner.job.stream is not None
    try:
        kafka.topic_states(runner.spark, runner.job.kafka, [runner.job.stream.topic], timeout_ms=int(ANSWER_S * 1000))
    except errors.BrokerAwayError:
        return True
    return False


def _trigger(job: Job, *, once: bool) -> dict[str, Any]:
    every = job.trigger.every
    if once or every is None:
        return {"availableNow": True}
    return {"processingTime": f"{int(every.total_seconds() * 1000)} milliseconds"}


def _until_done(query: StreamingQuery, runner: _Runner) -> None:
    while not query.awaitTermination(POLL_S):  # type: ignore[arg-type]
        if runner.stop.is_set() and not query.status["isTriggerActive"]:
            return
