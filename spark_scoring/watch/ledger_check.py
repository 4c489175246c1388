"""The ledger's part of verify: what the table's log itself says, held against its rows and the topic."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from spark_scoring.io import broker, delta
from spark_scoring.run.ledger import Commit, generation_of
from spark_scoring.run.takeover import Takeover
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Offsets, Plan, Replay


def created_again(
    job: Job, plans: Sequence[Plan], takeovers: Mapping[int, Takeover], state: broker.TopicState
) -> list[str]:
    """That the topic is not the one that was read."""
    assert job.stream is not None
    topic = job.stream.topic
    read = [plan.input.topic_ids.get(topic) for plan in plans if isinstance(plan.input, Offsets)]
    read += [takeover.topic_ids.get(topic) for takeover in takeovers.values()]
    if state.topic_id in read or not any(read):
        return []
    return [f"topic {topic} was deleted and created again; what was not read of the old one is gone"]


def made_anew(plans: Sequence[Plan], takeovers: Mapping[int, Takeover]) -> list[str]:
    """That a whole log lacks the first commits of a generation: the table is not the one that they were made in."""
    broken, begun = list[str](), {takeover.generation for takeover in takeovers.values()}
    for plan in plans:
        generation, batch = generation_of(plan), plan.commit_id.rpartition("/")[2].split(".")[0]
        if generation not in begun and batch != "0":
            told = "the table was made anew, or another took its place"
            broken.append(f"{plan.commit_id}: no commit of its generation before it is in the log; {told}")
        begun.add(generation)
    return broken


def gaps(commits: Sequence[Commit], takeovers: Mapping[int, Takeover]) -> list[str]:
    """Where a commit does not begin at the end of the one before, nor where a takeover let it.

    A feed that was taken out of the job and came back begins anew: that it is not appended twice is told by its table.
    """
    broken: list[str] = []
    until: dict[tuple[str, int], int] = {}
    events: dict[int, Plan | Takeover] = {**takeovers, **{c.entry.version: c.plan for c in commits}}
    for _, event in sorted(events.items()):
        if isinstance(event, Takeover):
            broken += _unexplained(event, until)
            until |= {(topic, p): end for topic, spans in event.ends.items() for p, end in spans.items()}
        elif isinstance(event.input, Offsets):
            until = {place: end for place, end in until.items() if place[0] in event.input.ranges}
            for topic, spans in event.input.ranges.items():
                for partition, (start, end) in spans.items():
                    expected = until.get((topic, partition), start)
                    if start != expected:
                        broken.append(f"{event.commit_id}: {topic}[{partition}] begins at {start}, not {expected}")
                    until[topic, partition] = end
    return broken


def _unexplained(takeover: Takeover, until: Mapping[tuple[str, int], int]) -> list[str]:
    renewed = {one.topic for one in takeover.accepted if one.what == "new_topic"}
    lost = {(one.topic, one.partition): one.until for one in takeover.accepted if one.what == "loss"}
    places = [(topic, p, end) for topic, spans in takeover.ends.items() for p, end in spans.items()]
    return [
        f"generation {takeover.generation} begins {topic}[{p}] at {end}, not {until[topic, p]}"
        for topic, p, end in places
        if topic not in renewed and end not in (until.get((topic, p), end), lost.get((topic, p)))
    ]


def accepted(takeovers: Iterable[Takeover]) -> Iterator[str]:
    """What was accepted when recovering: who, when and why."""
    for takeover in {one.generation: one for one in takeovers}.values():
        for one in takeover.accepted:
            place = one.topic if one.partition is None else f"{one.topic}[{one.partition}] {one.start} to {one.until}"
            yield f"{one.what} {place}, accepted by {takeover.by} at {takeover.at}: {takeover.reason}"


def counts(rows: DataFrame, commits: Sequence[Commit], *, expired: bool) -> list[str]:
    """Commits of which more or fewer rows are there than their plan says, replayed ones counted."""
    commit_id = F.coalesce("commit_id", F.lit("without a commit_id")).alias("name")
    found = {row["name"]: row["count"] for row in rows.groupBy(commit_id).count().collect()}
    planned = {c.plan.commit_id: c.plan.counts.rows for c in commits if c.plan.counts is not None}
    for commit in commits:
        if isinstance(commit.plan.input, Replay):
            for name, count in commit.plan.input.moved.items():
                found[name] = found.get(name, 0) + count
    names = planned.keys() if expired else found.keys() | planned.keys()
    wrong = {name for name in names if found.get(name, 0) != planned.get(name, 0)}
    return [
        f"{name}: {found.get(name, 0)} rows in the table, {planned.get(name, 0)} in the plan" for name in sorted(wrong)
    ]


def said(entry: delta.Entry) -> str:
    """What is told of such a change."""
    return f"version {entry.version}: {entry.operation} changed data and carries no plan"
