"""Generations: which checkpoint may go on, and how a stream begins anew after its checkpoint was lost."""

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import pyspark.sql.functions as F
from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.errors import StateError
from spark_scoring.io import broker, checkpoint, files
from spark_scoring.io.broker import TopicState
from spark_scoring.run import fed_tables, feeds, ledger, owner, takeover
from spark_scoring.run.faults import protected, reached
from spark_scoring.run.insist import insisting
from spark_scoring.run.lane import runs
from spark_scoring.run.lease import held
from spark_scoring.run.ledger import Standing
from spark_scoring.run.takeover import Accepted, Takeover
from spark_scoring.spec.job import REALTIME, Job


@dataclass(frozen=True, kw_only=True)
class Consent:
    """What the one who recovers a stream accepts, who it is and when; a reason wherever something is accepted.

    `again`: the real-time lane scores again all that is not landed.
    """

    by: str
    at: str
    new_topic: bool = False
    loss: bool = False
    again: bool = False
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Plan:
    ends: Mapping[str, Mapping[int, int]]
    topic_ids: Mapping[str, str]
    accepted: tuple[Accepted, ...]


def checkpoint_of(job: Job) -> str:
    """The checkpoint's folder."""
    return f"{job.state}/checkpoint"


def topics_of(job: Job) -> list[str]:
    """All topics that the job reads, the rows' first: its feeds, or on the real-time lane the scores."""
    assert job.stream is not None
    if job.lane == REALTIME:
        return [job.stream.topic, str(job.output.topic)]
    return [job.stream.topic, *[table.feed.topic for table in job.tables if table.feed is not None]]


def check(spark: SparkSession, job: Job, known: Standing) -> None:
    """Nothing, if output and state are this lane's, and the checkpoint may go on from where the ledger stands.

    Raises: StateError: the checkpoint is lost or damaged, another one stands in its place, or the ledger's log has
    expired.
    """
    owner.check_lane(spark, job, known)
    if known.begun:
        # of a job that has no commits its output may be another's, which says more of what is wrong
        owner.check(spark, job, known, topics=topics_of(job))
    query = checkpoint.query_id(spark, checkpoint_of(job), job=job.path)
    if known.expired:
        raise errors.expired_ledger(job.path, table=str(job.output.stream))
    if known.begun and query != known.generation and protected("checkpoint"):
        raise errors.lost_checkpoint(job.path, checkpoint=checkpoint_of(job), found=query)
    checkpoint.check(spark, checkpoint_of(job), job=job.path)


def check_left_out(spark: SparkSession, job: Job) -> None:
    """Nothing, if the job still reads all topics in which its own checkpoint goes on.

    Raises: StateError.
    """
    there = checkpoint.reached(spark, checkpoint_of(job), job=job.path) or {}
    if left_out := tuple(sorted(there.keys() - {*topics_of(job)})):
        raise errors.topics_left_out(job.path, topics=left_out)


def starting(known: Standing, states: Mapping[str, TopicState], *, otherwise: str) -> str | dict[str, dict[str, int]]:
    """Where the next query begins reading: an alias of Kafka's, or offsets by topic and partition."""
    if not known.begun:
        return otherwise
    # -2: from the first record on; Spark wants to be told of every partition there is, and of no other
    return {
        topic: {str(p): known.ends.get(topic, {}).get(p, -2) for p in state.latest} for topic, state in states.items()
    }


def begin(
    spark: SparkSession, job: Job, states: Mapping[str, TopicState], *, consent: Consent,
    ends: Mapping[str, Mapping[int, int]] | None = None,
) -> None:  # fmt: skip
    """Make the first generation of a job whose output table is there already: of two that try, one fails.

    Where there is no table, the commit that creates it is the one that decides.
    """
    assert job.kafka is not None
    ends = ends or {t: dict(s.earliest if job.kafka.start == "earliest" else s.latest) for t, s in states.items()}
    ids = {topic: state.topic_id for topic, state in states.items()}
    begun = _takeover(job, _Plan(ends=ends, topic_ids=ids, accepted=()), consent)
    path = str(job.output.stream)
    if not takeover.fence(spark, path, app=takeover.app_id(job.name, ""), metadata=begun.dump()):
        raise errors.second_stream(job.path, where="another place")
    _install(spark, job, begun.generation)


def recover(spark: SparkSession, job: Job, *, consent: Consent) -> Takeover:
    """Begin a new generation at the ledger's end offsets, for the next `stream`; the old checkpoint is kept beside.

    From then on the generation before can commit nothing, and may be running still. Ended half-way and run again it
    does the rest. Where the log has expired, the rows' own greatest offsets are the ledger.

    Raises: RunError: the job has no commits, a stream of it runs, or the broker does not answer. StateError: something
    would be lost that `consent` does not accept.
    """
    known = ledger.standing(spark, str(job.output.stream), job=job.name)
    # that a stream was started with --lane is known to its output and state alone
    job = job.on_lane(owner.lane_of(spark, job, known) or job.lane)
    owner.check(spark, job, known, topics=topics_of(job))
    again = consent.again and job.lane == REALTIME
    if not (known.begun or known.expired or again or files.exists(spark, checkpoint_of(job))):
        raise errors.no_commits(str(job.output.stream), job=job.name)
    with held(spark, job):
        return insisting(job.name, lambda: _recover(spark, job, consent))


def _recover(spark: SparkSession, job: Job, consent: Consent) -> Takeover:
    path = str(job.output.stream)
    known = ledger.standing(spark, path, job=job.name)
    if not known.begun and not known.expired:
        return _without_commits(spark, job, consent)
    assert job.kafka is not None
    states = broker.topic_states(spark, job.kafka, topics_of(job))
    base = _of_rows(spark, job, path, states) if known.expired else known
    plan = _settled(spark, job, base, states)
    _refuse_unless(job, plan.accepted, consent)
    begun = _takeover(job, plan, consent)
    if job.lane == REALTIME and (consent.again or plan.accepted):
        # what is gone of the scores may still be made again; and of a new topic its checkpoint knows nothing
        runs.set_aside(spark, job)
    reached("recover_begun")
    _fence(spark, path, job=job, known=known, metadata=begun.dump())
    reached("recover_fenced")
    feeds.fence(spark, job, generations=takeover.every(spark, path, job=job.name), metadata=begun.dump())
    reached("recover_feeds_fenced")
    _install(spark, job, begun.generation)
    return begun


def _fence(spark: SparkSession, path: str, *, job: Job, known: Standing, metadata: str) -> None:
    others = _others(spark, path, job=job, known=known)
    for generation in others if protected("fence") else ():
        app = takeover.app_id(job.name, generation)
        if not takeover.fence(spark, path, app=app, metadata=metadata) and generation == known.generation:
            raise errors.recovered_already(job.path)
    if not others or not protected("fence"):
        # nobody is left to fence: the commit is for its metadata alone
        takeover.fence(spark, path, app=f"{job.name}:takeover:{uuid.uuid4()}", metadata=metadata)


def _others(spark: SparkSession, path: str, *, job: Job, known: Standing) -> list[str]:
    # the newest last: its takeover is the one that another `recover` may have made
    found = [name for name in takeover.live(spark, path, job=job.name) if name != known.generation]
    return [*found, *([known.generation] if known.generation else [])]


def _install(spark: SparkSession, job: Job, generation: str) -> None:
    """A checkpoint that holds nothing but the generation's id, which Spark takes as its query's."""
    place = checkpoint_of(job)
    if files.exists(spark, place):
        files.move(spark, place, f"{place}-before-{generation}")
    reached("recover_moved")
    files.write_text(spark, f"{place}/metadata", json.dumps({"id": generation}))


def _takeover(job: Job, plan: _Plan, consent: Consent) -> Takeover:
    return Takeover(
        job=job.name,
        generation=str(uuid.uuid4()),
        ends=plan.ends,
        topic_ids=plan.topic_ids,
        by=consent.by,
        at=consent.at,
        accepted=plan.accepted,
        reason=consent.reason,
    )


def _settled(spark: SparkSession, job: Job, base: Standing, states: Mapping[str, TopicState]) -> _Plan:
    """Where each partition goes on, and what has to be accepted for it."""
    assert job.kafka is not None
    ends: dict[str, Mapping[int, int]] = dict(base.ends)
    accepted: list[Accepted] = []
    untold = topics_of(job)[0] if base.expired and job.kafka.start == "latest" else None
    # where nothing is known of its rows the lane begins as a new one
    owed = {*base.ends, *(topics_of(job)[1 if job.lane == REALTIME else 0 :] if base.begun else ())}
    for topic, state in states.items():
        if base.topic_ids.get(topic, state.topic_id) != state.topic_id:
            accepted.append(Accepted(what="new_topic", topic=topic, topic_id=state.topic_id))
            ends[topic] = dict(state.earliest)
            continue
        known = dict(base.ends.get(topic, {}))
        for partition, earliest in state.earliest.items():
            start, until = known.get(partition, 0), earliest
            if topic == untold and partition not in known:
                # told to begin at the end of the topic, and nobody knows where that was
                start, until = earliest, state.latest[partition]
                known[partition] = until
            if start < until and topic in owed:
                accepted.append(Accepted(what="loss", topic=topic, partition=partition, start=start, until=until))
                known[partition] = until
        ends[topic] = known
    ids = {**base.topic_ids, **{topic: state.topic_id for topic, state in states.items()}}
    accepted += _unknown_feeds(job, base, states, ends)
    accepted += fed_tables.lost(spark, job, base, states=states, ends=ends)
    return _Plan(ends=ends, topic_ids=ids, accepted=tuple(accepted))


def _unknown_feeds(
    job: Job, base: Standing, states: Mapping[str, TopicState], ends: dict[str, Mapping[int, int]]
) -> list[Accepted]:
    """Feeds of which no log says how far they were read: they go on at the topic's end, which must be accepted."""
    if not base.expired:
        return []
    if job.lane == REALTIME:
        # whatever the topic of scores still holds may be landed: what is in the table is not landed again
        ends[topics_of(job)[1]] = dict(states[topics_of(job)[1]].earliest)
        return []
    accepted = []
    for topic in topics_of(job)[1:]:
        if topic not in base.ends:
            ends[topic] = dict(states[topic].latest)
            spans = [(p, states[topic].earliest[p], until) for p, until in states[topic].latest.items()]
            accepted += [
                Accepted(what="loss", topic=topic, partition=p, start=a, until=b) for p, a, b in spans if a < b
            ]
    return accepted


def _refuse_unless(job: Job, accepted: tuple[Accepted, ...], consent: Consent) -> None:
    allowed = {"new_topic": consent.new_topic, "loss": consent.loss}
    needed = {"new_topic": "--accept-new-topic", "loss": "--accept-loss"}
    missing = [one for one in accepted if not allowed[one.what]]
    if missing:
        flags = [needed[what] for what in dict.fromkeys(one.what for one in accepted)]
        raise errors.not_accepted(job.path, what=[takeover.said(one) for one in missing], flags=flags)
    if accepted and not consent.reason:
        raise errors.reason_needed()


def _of_rows(spark: SparkSession, job: Job, path: str, states: Mapping[str, TopicState]) -> Standing:
    """The standing by the rows' own `source`, without one by the checkpoint; of the feeds by their tables' logs."""
    assert job.stream is not None
    rows = spark.read.format("delta").load(path).where(F.col("commit_id").startswith(f"{job.name}/"))
    found = rows.where(F.col("source.topic") == job.stream.topic).groupBy("source.topic_id", "source.partition")
    each = found.agg(F.max("source.offset").alias("offset"), F.max("scored_at").alias("at")).collect()
    topic = states[job.stream.topic]
    newest = max(each, key=lambda row: row["at"])["topic_id"] if each else topic.topic_id
    read = {row["partition"]: row["offset"] + 1 for row in each if row["topic_id"] == newest}
    ends: dict[str, Mapping[int, int]] = {job.stream.topic: {**_of_checkpoint(spark, job, topic), **read}}
    for table in job.tables:
        if table.feed is not None:
            fed = feeds.read_until(spark, table, job=job, topic_id=states[table.feed.topic].topic_id)
            ends |= {table.feed.topic: fed} if fed else {}
    return Standing(ends=ends, topic_ids={job.stream.topic: newest}, expired=True)


def _of_checkpoint(spark: SparkSession, job: Job, state: TopicState) -> dict[int, int]:
    """partition -> where the checkpoint goes on: 0 in those that are new to it. Empty where there is none to read."""
    assert job.stream is not None
    lane = job.lane == REALTIME
    # what the lane has reached need not be landed
    found = checkpoint.first if lane else checkpoint.reached
    with suppress(StateError):
        ends = found(spark, runs.checkpoint_of(job) if lane else checkpoint_of(job), job=job.path)
        return {} if ends is None else {p: ends.get(job.stream.topic, {}).get(p, 0) for p in state.latest}
    return {}


def _without_commits(spark: SparkSession, job: Job, consent: Consent) -> Takeover:
    """A job that has committed nothing begins where a new one does."""
    place = checkpoint_of(job)
    if files.list_names(spark, f"{place}/commits"):
        raise errors.no_commits(str(job.output.stream), job=job.name)
    begun = _takeover(job, _Plan(ends={}, topic_ids={}, accepted=()), consent)
    if consent.again:
        runs.set_aside(spark, job)
    if files.exists(spark, place):
        files.move(spark, place, f"{place}-before-{begun.generation}")
    return begun
