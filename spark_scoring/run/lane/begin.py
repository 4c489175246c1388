"""What a lane begins with: the ledger, its two topics, and where it reads the rows."""

import threading
from collections.abc import Mapping
from datetime import timedelta

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import checkpoint
from spark_scoring.io.kafka import TopicState
from spark_scoring.run import check, generation, ledger, serving
from spark_scoring.run.faults import protected
from spark_scoring.run.lane import fit, runs
from spark_scoring.run.ledger import Standing
from spark_scoring.run.outages import FIRST_CONTACT, OUTAGE, wait_for_broker
from spark_scoring.run.serving import Serving
from spark_scoring.run.topics import check_topics
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Offsets


def standing(spark: SparkSession, job: Job) -> Standing:
    """The ledger of a lane's output.

    Raises: StateError: the checkpoint does not fit it. ConfigError: the table is that of another lane.
    """
    known = ledger.standing(spark, str(job.output.stream), job=job.name)
    generation.check(spark, job, known)
    if known.newest is not None and isinstance(known.newest.input, Offsets) and known.newest.input.landed is None:
        raise errors.other_lane(job.path, lane=job.lane, table=str(job.output.stream))
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
    fit.check_fit(spark, job, models.models)
    patience = patience or (OUTAGE if known.begun else FIRST_CONTACT)
    topics = generation.topics_of(job)
    states = wait_for_broker(spark, job, topics, patience_s=patience.total_seconds(), stop=stop)
    if states is None:
        return None
    fit.check_slots(spark, job, partitions=len(states[topics[0]].latest))
    check_topics_of(known, states, job=job)
    return models, states


def rows_start(spark: SparkSession, job: Job, known: Standing, state: TopicState) -> dict[int, int]:
    """Where the query begins to read the rows: at its checkpoint, else where nothing can be lost."""
    topic, place = _rows_topic(job), runs.checkpoint_of(job)
    for found in (checkpoint.committed, checkpoint.first):
        if (offsets := found(spark, place, job=job.path)) is not None:
            return dict(offsets[topic])
    newest = known.newest
    if newest is not None and isinstance(newest.input, Offsets) and newest.input.landed is not None:
        # scored again from where the newest run that was landed began; what is in the table is not landed again
        begun = newest.input.landed.start
        return {p: max(begun.get(p, 0), earliest) for p, earliest in state.earliest.items()}
    if ends := known.ends.get(topic):
        return {p: ends.get(p, earliest) for p, earliest in state.earliest.items()}
    assert job.kafka is not None
    return dict(state.earliest if job.kafka.start == "earliest" else state.latest)


def _rows_topic(job: Job) -> str:
    assert job.stream is not None
    return job.stream.topic
