"""What is owed of a topic: all from 0 on where the ledger has begun, but for what the lane begins as a new one."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from pyspark.sql import SparkSession

from spark_scoring.errors import StateError
from spark_scoring.io.broker import TopicState
from spark_scoring.run import generation
from spark_scoring.run.ledger import Standing
from spark_scoring.run.takeover import Accepted, Takeover
from spark_scoring.run.topics import check_topics
from spark_scoring.spec.job import REALTIME, Job
from tests.world import job_mapping

ROWS, FEED, SCORES = "job_flights", "job_arrivals", "job_scores"
# no fed table is looked up where no commit has read one
NO_SPARK = cast(SparkSession, None)


def begun(*topics: str) -> Standing:
    ends = {topic: {0: 7} for topic in topics}
    return Standing(takeover=Takeover(job="job", generation="a", ends=ends, topic_ids={}, by="", at=""), ends=ends)


def states(**earliest: int) -> dict[str, TopicState]:
    return {t: TopicState(topic_id=t, earliest={0: first}, latest={0: 9}) for t, first in earliest.items()}


def lost(topic: str, start: int, until: int) -> Accepted:
    return Accepted(what="loss", topic=topic, partition=0, start=start, until=until)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job.unpack(job_mapping(tmp_path, name="job", servers="127.0.0.1:1"), {}, source="job.yaml")


@pytest.mark.parametrize(
    ("known", "there", "accepted"),
    [
        (begun(ROWS), states(job_flights=0, job_arrivals=0), ()),
        (begun(ROWS), states(job_flights=0, job_arrivals=4), (lost(FEED, 0, 4),)),
        (begun(ROWS, FEED), states(job_flights=8, job_arrivals=4), (lost(ROWS, 7, 8),)),
    ],
)
def test_of_a_feed_that_is_new_what_is_gone_is_accepted_once(
    job: Job, known: Standing, there: dict[str, TopicState], accepted: tuple[Accepted, ...]
) -> None:
    plan = generation._settled(NO_SPARK, job, known, there)
    assert plan.accepted == accepted
    check_topics(replace(known, ends=plan.ends), there, job="job.yaml")
    if accepted:
        with pytest.raises(StateError, match="--accept-loss"):
            check_topics(known, there, job="job.yaml")


def test_a_ledger_that_has_not_begun_is_owed_nothing() -> None:
    check_topics(Standing(), states(job_flights=8, job_arrivals=4), job="job.yaml")


@pytest.mark.parametrize(("scores", "accepted"), [(0, ()), (8, (lost(SCORES, 7, 8),))])
def test_rows_that_a_lane_has_never_landed_are_not_owed(job: Job, scores: int, accepted: tuple[Accepted, ...]) -> None:
    lane = replace(job, lane=REALTIME, output=replace(job.output, topic=SCORES))
    plan = generation._settled(NO_SPARK, lane, begun(SCORES), states(job_flights=4, job_scores=scores))
    assert (plan.accepted, plan.ends[ROWS]) == (accepted, {})
