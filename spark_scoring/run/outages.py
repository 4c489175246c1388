"""A broker that is away: waiting for it, and telling that from what else ends a query."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import broker, kafka
from spark_scoring.io.broker import TopicState
from spark_scoring.spec.job import Job

log = logging.getLogger(__name__)

FIRST_CONTACT = timedelta(seconds=30)
OUTAGE = timedelta(minutes=10)
ANSWER_S = 10.0
# a query that ends for the broker's sake this often in a row, each time this soon, has another ailment
MOST_BRIEF = 10
LONG_ENOUGH_S = 60.0


def wait_for_broker(
    spark: SparkSession, job: Job, topics: Sequence[str], *, patience_s: float, stop: threading.Event
) -> dict[str, TopicState] | None:
    """The topics as the broker has them when it answers, None when `stop` was set meanwhile.

    Raises: ConfigError: Kafka's clients do not take the job's options. RunError: a topic is missing, or there was no
    answer within `patience_s`.
    """
    assert job.kafka is not None
    broker.check_options(spark, job.kafka)
    until = time.monotonic() + patience_s
    while not stop.is_set():
        left_s = until - time.monotonic()
        try:
            # asked for at least a second: connecting takes time even where all is well
            return broker.topic_states(spark, job.kafka, topics, timeout_ms=int(min(max(left_s, 1), ANSWER_S) * 1000))
        except errors.BrokerAwayError as away:
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise
            log.warning("%s Waiting up to %d s more.", away, int(left_s) + 1)
            stop.wait(min(1, left_s))
    return None


@dataclass(kw_only=True)
class Outages:
    """Whether queries over these topics end because the broker is away, and how often they soon did."""

    spark: SparkSession
    job: Job
    topics: tuple[str, ...]
    brief: int = 0

    def check(
        self,
        error: StreamingQueryException,
        *,
        failure: Exception | None,
        began: float,
        fit: Callable[[Mapping[str, TopicState]], None],
    ) -> None:
        """Nothing if the query that began then ended for the broker's sake; else `failure`, or the error, is raised.

        `failure`: what our own part of the query failed with. `fit` is asked about the topics if nothing of ours did.

        Raises: RunError: a record ended it that Spark cannot read, or a client has not the rights.
        """
        self.brief = self.brief + 1 if time.monotonic() - began < LONG_ENOUGH_S else 0
        if self.brief > MOST_BRIEF or not self._went_away(error, failure=failure, fit=fit):
            assert self.job.kafka is not None
            ended = failure or error
            told = kafka.unreadable_record(ended, job=self.job.path) or broker.refusal(self.job.kafka, ended)
            raise (told or ended) from error

    def _went_away(
        self,
        error: StreamingQueryException,
        *,
        failure: Exception | None,
        fit: Callable[[Mapping[str, TopicState]], None],
    ) -> bool:
        # it may be back by now, so what its client said counts too
        if isinstance(failure, errors.BrokerAwayError) or broker.is_retriable(self.spark, error):
            return True
        assert self.job.kafka is not None
        try:
            states = broker.topic_states(self.spark, self.job.kafka, self.topics, timeout_ms=int(ANSWER_S * 1000))
        except errors.BrokerAwayError:
            return True
        if failure is None:
            # Spark ends when it finds offsets gone; why they are, the broker knows
            fit(states)
        return False

    def over(self, *, stop: threading.Event) -> bool:
        """Wait until the broker answers again; false if `stop` was set meanwhile.

        Raises: RunError: it stayed away.
        """
        log.warning("%s: Kafka does not answer, nothing is lost", self.job.name)
        patience_s = OUTAGE.total_seconds()
        return wait_for_broker(self.spark, self.job, self.topics, patience_s=patience_s, stop=stop) is not None
