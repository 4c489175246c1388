"""What a lane begins with: the ledger, its two topics, and where it reads the rows."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import checkpoint, delta
from spark_scoring.io.broker import TopicState
from spark_scoring.run import check, generation, ledger, owner, serving
from spark_scoring.run.faults import protected
from spark_scoring.run.lane import fit, runs
from spark_scoring.run.ledger import Standing
from spark_scoring.run.outages import FIRST_CONTACT, OUTAGE, wait_for_broker
from spark_scoring.run.serving import Serving
from spark_scoring.run.topics import check_topics
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Offsets

log = logging.getLogger(__name__)


def standing(spark: SparkSession, job: Job) -> Standing:
    """The ledger of a lane's output.

    Raises: StateError: the checkpoint does not fit it. ConfigError: the table is that of another lane.
    """
    known = ledger.standing(spark, str(job.output.stream), job=job.name)
    generation.check(spark, job, known)
    return known


def check_topics_of(known: Standing, states: Mapping[str, TopicState], *, job: Job) -> None:
    """Both topics are the ones that were read. Rows that are gone may stand on the topic of scores, so that is all."""
    scores = str(job.output.topic)
    check_topics(known, {scores: states[scores]}, job=job.path)
    for topic, state in states.items():
        if protected("topic_id") and known.topic_ids.get(topic, state.topic_id) != state.topic_id:
            raise errors.topic_created_again(topic, job=job.path)


def fit_of(
    spark: SparkSession, job: Job, *, stop: threading.Event, patience: timedelta | None
) -> tuple[Serving, dict[str, TopicState]] | None:
    """Models and topics, checked before anything starts; None if it was stopped meanwhile."""
    known = standing(spark, job)
    models = serving.begin(spark, job)
    check.analyse(spark, job, models.models, target=str(job.output.stream))
    owner.check(spark, job, known, topics=generation.topics_of(job))
    fit.check_fit(spark, job, models.models)
    patience = patience or (OUTAGE if known.begun else FIRST_CONTACT)
    topics = generation.topics_of(job)
    states = wait_for_broker(spark, job, topics, patience_s=patience.total_seconds(), stop=stop)
    if states is None:
        return None
    fit.check_slots(spark, job, partitions=len(states[topics[0]].latest))
    check_topics_of(known, states, job=job)
    return models, states


def forget_unfit(spark: SparkSession, job: Job, state: TopicState) -> None:
    """The lane's checkpoint is set aside if it is damaged, which costs nothing but time, or over a rows topic that is
    gone: its offsets mean other records.
    """
    newest = runs.newest(spark, job)
    if newest is not None and newest.topic_id != state.topic_id and protected("topic_id"):
        runs.set_aside(spark, job)
    place = runs.checkpoint_of(job)
    try:
        checkpoint.query_id(spark, place, job=job.path)
        checkpoint.check(spark, place, job=job.path)
    except errors.StateError:
        log.warning("%s: the checkpoint of the lane is damaged: set aside, what is not landed is scored again", place)
        runs.set_aside(spark, job)


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a run begins to read the rows; `anew`: not at a checkpoint."""

    offsets: Mapping[int, int]
    anew: bool


def rows_start(spark: SparkSession, job: Job, known: Standing, state: TopicState) -> Start:
    """Where the query begins to read the rows: at its checkpoint, else where nothing can be lost."""
    topic, place = _rows_topic(job), runs.checkpoint_of(job)
    if (offsets := checkpoint.reached(spark, place, job=job.path)) is not None:
        return Start(offsets=offsets[topic], anew=False)
    if ends := known.ends.get(topic):
        # what is in the table is not landed again
        begun = {**ends, **_landed_from(spark, job, ends, topic_id=state.topic_id)}
        return Start(offsets={p: max(begun.get(p, 0), earliest) for p, earliest in state.earliest.items()}, anew=True)
    assert job.kafka is not None
    return Start(offsets=state.earliest if job.kafka.start == "earliest" else state.latest, anew=True)


def _landed_from(spark: SparkSession, job: Job, ends: Mapping[int, int], *, topic_id: str) -> dict[int, int]:
    """partition -> where the run began whose scores were the last to get further: all before it is in the table.

    Of what comes after it a record may be missing that another run has scored again, and that was not landed.
    """
    topic = _rows_topic(job)
    found: dict[int, int] = {}
    for plan in ledger.plans_in(delta.newest_first(spark, str(job.output.stream)), job=job.name):
        given = plan.input
        if not isinstance(given, Offsets) or given.landed is None or given.topic_ids.get(topic) != topic_id:
            continue
        for partition, (start, until) in given.ranges.get(topic, {}).items():
            if start < until:
                found.setdefault(partition, given.landed.start.get(partition, 0))
        if found.keys() >= ends.keys():
            break
    return found


def _rows_topic(job: Job) -> str:
    assert job.stream is not None
    return job.stream.topic
