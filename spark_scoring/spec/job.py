"""A job: where rows and tables live, which models run, where the output goes; what `job.yaml` says."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from spark_scoring.errors import (
    bad_value,
    contradiction,
    missing_key,
    missing_part,
    name_taken,
    reserved_name,
    unknown_name,
)
from spark_scoring.spec.actuals import Actual, read_actuals
from spark_scoring.spec.environ import expand
from spark_scoring.spec.models import ModelRef, read_models, read_trust, without_share
from spark_scoring.spec.nouns import AsOf
from spark_scoring.spec.read import Reader, read_yaml
from spark_scoring.spec.sources import (
    Kafka,
    Source,
    TableSource,
    Topic,
    one_spelling,
    read_kafka,
    read_source,
    read_table_source,
    read_topic,
)
from spark_scoring.spec.types import check_identifier
from spark_scoring.spec.wide import WideTable

__all__ = [
    "Actual", "Job", "Kafka", "ModelRef", "Output", "Source", "StopWhen", "TableSource", "Topic", "Trigger",
    "check_job_against_wide",
]  # fmt: skip

REALTIME_BATCH, SHORTEST_BATCH = timedelta(minutes=1), timedelta(seconds=1)
JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
KEEP = ("input", "features")
MICRO_BATCH, REALTIME = LANES = ("micro-batch", "realtime")


@dataclass(frozen=True, kw_only=True)
class Output:
    """The output tables, what is stored beside the score, and the topic of scores of the real-time lane."""

    batch: str | None = field(default=None, repr=False)  # paths may hold credentials, as in s3a://key:secret@bucket
    stream: str | None = field(default=None, repr=False)
    topic: str | None = None
    keep: tuple[str, ...] = KEEP


@dataclass(frozen=True, kw_only=True)
class StopWhen:
    """The brake: a commit of at least `min_rows` with more than this share rejected is the last."""

    rejected_share: float
    min_rows: int = 1


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """How often a micro-batch begins; None: the backlog once, then the end.

    `realtime`: how long a batch of the real-time lane is, at the end of which its checkpoint is written.
    """

    every: timedelta | None
    realtime: timedelta = REALTIME_BATCH


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything a run is told. `path` is the file it was read from."""

    name: str
    batch: Source | None = None
    stream: Topic | None = None
    kafka: Kafka | None = None
    tables: tuple[TableSource, ...] = ()
    actuals: tuple[Actual, ...] = ()
    models: tuple[ModelRef, ...]
    output: Output
    trigger: Trigger = Trigger(every=None)
    stop_when: StopWhen | None = None
    lane: str = MICRO_BATCH
    state: str = field(repr=False)
    registry: str = field(repr=False)  # its URI may hold a password
    trust: tuple[str, ...] = ()
    path: str = field(default="job.yaml", compare=False)

    def __post_init__(self) -> None:
        if any(ref.role == "challenger" and ref.share is None for ref in self.models):
            raise without_share(f"{self.path}: models.challenger", given=("uri",))

    @staticmethod
    def load(path: str | Path, environ: Mapping[str, str] | None = None) -> "Job":
        """The job in a YAML file, `${NAME}` taken from `environ` (None: the process's own).

        Raises: ConfigError that names the file and the place in it.
        """
        environ = os.environ if environ is None else environ
        return Job.unpack(read_yaml(path), environ, source=str(path))

    @staticmethod
    def unpack(mapping: Mapping[str, Any], environ: Mapping[str, str], source: str = "job.yaml") -> "Job":
        """The job in a mapping as YAML gives it; reads no file.

        Raises: ConfigError that names `source` and the place in it.
        """
        plain = expand(Reader(value=mapping, source=source), environ=environ)
        return _read_job(Reader(value=plain, source=source))

    def table(self, name: str) -> TableSource | None:
        """Where a table lives, None if the job does not say."""
        return next((table for table in self.tables if table.name.lower() == name.lower()), None)

    def actual(self, name: str, *, where: str) -> Actual:
        """The actual of this name.

        Raises: ConfigError with the nearest name.
        """
        for actual in self.actuals:
            if actual.name.lower() == name.lower():
                return actual
        raise unknown_name(where, kind=f"actual of {self.path}", given=name, known=[one.name for one in self.actuals])

    def on_lane(self, lane: str) -> "Job":
        """The same job on a lane.

        Raises: ConfigError: it lacks what the lane needs.
        """
        if lane == REALTIME and not (self.stream and self.kafka and self.output.stream and self.output.topic):
            parts = "rows.stream, kafka, output.stream and output.topic"
            raise missing_part(self.path, part=parts, command=f"stream --lane {lane}")
        return replace(self, lane=lane)

    def model(self, role: str) -> ModelRef | None:
        """The first model in a role."""
        return next((model for model in self.models if model.role == role), None)


TOP = (
    "name", "rows", "kafka", "tables", "actuals", "models", "output", "trigger", "stop_when", "lane", "state",
    "registry", "trust",
)  # fmt: skip


def _read_job(reader: Reader) -> Job:
    reader.keys(*TOP)
    name = reader.need("name", "the name of the job")
    if not JOB_NAME.fullmatch(name.text("a name")):
        why = "it stands in commit ids: letters, digits, '_', '.' and '-', at most 100"
        raise reserved_name(name.where, given=name.shown, why=why)
    rows = reader.need("rows", "where rows come from: batch, stream or both")
    rows.keys("batch", "stream")
    job = Job(
        name=name.text(),
        batch=rows.maybe("batch", read_source, None),
        stream=rows.maybe("stream", read_topic, None),
        kafka=reader.maybe("kafka", read_kafka, None),
        tables=reader.maybe("tables", _read_tables, ()),
        actuals=reader.maybe("actuals", read_actuals, ()),
        models=read_models(reader.need("models", "which models run, at least 'champion'")),
        output=_read_output(reader.need("output", "where scores go: batch, stream or both")),
        trigger=reader.maybe("trigger", _read_trigger, Trigger(every=None)),
        stop_when=reader.maybe("stop_when", _read_stop_when, None),
        lane=reader.maybe("lane", lambda found: found.one_of(*LANES), MICRO_BATCH),
        state=reader.need("state", "a folder for the checkpoint and run plans").place(),
        registry=reader.need("registry", "the MLflow registry, as in sqlite:///mlflow.db").text("a URI"),
        trust=reader.maybe("trust", read_trust, ()),
        path=reader.source,
    )
    _check_parts(job, reader=reader, rows=rows)
    return job


def _check_parts(job: Job, *, reader: Reader, rows: Reader) -> None:
    if job.batch is None and job.stream is None:
        raise missing_key(rows.where, key="batch", given=(), meaning="where rows come from (or 'stream')")
    output = reader.need("output", "")
    given = [key for key, _ in output.items()]
    for key, wanted, place in (
        ("batch", job.batch, job.output.batch),
        ("stream", job.stream, job.output.stream),
    ):
        if wanted and not place:
            raise missing_key(output.where, key=key, given=given, meaning=f"the output table, as rows.{key} is given")
    feeds = [table for table in job.tables if table.feed]
    if job.kafka is None and (job.stream or feeds):
        reason = "rows.stream" if job.stream else f"tables.{feeds[0].name}.feed"
        names = [key for key, _ in reader.items()]
        raise missing_key(reader.where, key="kafka", given=names, meaning=f"the broker that {reason} reads from")
    _check_places(job, reader=reader)


def _check_places(job: Job, *, reader: Reader) -> None:
    batch, stream = job.output.batch, job.output.stream
    if batch and stream and one_spelling(batch) == one_spelling(stream):
        why, do = "each is a ledger of its own", "Give two paths"
        raise contradiction(reader.need("output", "").where, given="batch and stream in one table", why=why, do=do)
    if job.lane == REALTIME:
        _check_lane(job, reader=reader)
    topics = [("rows.stream", job.stream)] if job.stream else []
    topics += [(f"tables.{table.name}.feed", table.feed) for table in job.tables if table.feed]
    seen: dict[str, str] = {}
    for place, topic in topics:
        if topic and topic.topic in seen:
            where, taken_by = f"{reader.source}: {place}.kafka", f"the topic of {seen[topic.topic]}"
            raise name_taken(where, given=topic.topic, taken_by=taken_by)
        if topic:
            seen[topic.topic] = place
    if job.output.topic in seen:
        where, taken_by = f"{reader.source}: output.topic", f"the topic of {seen[job.output.topic]}"
        raise name_taken(where, given=job.output.topic, taken_by=taken_by)


def _check_lane(job: Job, *, reader: Reader) -> None:
    for key, there in (("topic", job.output.topic), ("stream", job.output.stream)):
        if not there:
            output = reader.need("output", "")
            meaning = {"topic": "the Kafka topic of scores", "stream": "the table that they are landed in"}[key]
            given = [name for name, _ in output.items()]
            raise missing_key(output.where, key=key, given=given, meaning=f"{meaning}, for lane: {REALTIME}")


def _read_tables(reader: Reader) -> tuple[TableSource, ...]:
    found: list[TableSource] = []
    for name, item in reader.items("a mapping {table: source}"):
        check_identifier(name, where=item.where)
        for other in found:
            if other.name.lower() == name.lower():
                raise name_taken(item.where, given=name, taken_by=f"table {other.name}")
        found.append(read_table_source(name, item))
    return tuple(found)


def _read_output(reader: Reader) -> Output:
    reader.keys("batch", "stream", "topic", "keep")
    keep = reader.maybe("keep", lambda found: found.list(f"a list of {', '.join(KEEP)}"), None)
    given = KEEP if keep is None else tuple(item.one_of(*KEEP) for item in keep)
    return Output(
        batch=reader.maybe("batch", Reader.place, None),
        stream=reader.maybe("stream", Reader.place, None),
        topic=reader.maybe("topic", lambda found: found.text("a topic"), None),
        keep=tuple(name for name in KEEP if name in given),
    )


def _read_trigger(reader: Reader) -> Trigger:
    if reader.value == "once":
        return Trigger(every=None)
    if not isinstance(reader.value, Mapping):
        raise reader.refuse("'once' or a mapping {every: duration}")
    reader.keys("every", "realtime")
    every = reader.need("every", "a duration, as in 5s").duration()
    return Trigger(every=every, realtime=reader.maybe("realtime", _read_realtime, REALTIME_BATCH))


def _read_realtime(reader: Reader) -> timedelta:
    found = reader.duration()
    if found < SHORTEST_BATCH:
        raise bad_value(reader.where, given=reader.shown, allowed="a duration of 1s at least")
    return found


def _read_stop_when(reader: Reader) -> StopWhen:
    reader.keys("rejected_share", "min_rows")
    share = reader.need("rejected_share", "a share of rejected rows, as in 0.5").most_share()
    return StopWhen(rejected_share=share, min_rows=reader.maybe("min_rows", lambda found: found.int(least=1), 1))


def check_job_against_wide(job: Job, wide: WideTable) -> None:
    """Nothing, if the job has all that the definition needs.

    Raises: ConfigError for a table without a place, and for a feed that an `as_of` reads without `max_age`.
    """
    for table in wide.tables:
        place, where = job.table(table.name), f"{job.path}: tables"
        if place is None:
            names, meaning = [source.name for source in job.tables], f"where the table of '{wide.name}' lives"
            raise missing_key(where, key=table.name, given=names, meaning=meaning)
        if place.feed and table.time is None:
            why, do = f"table {table.name} of '{wide.name}' declares no 'time'", "Add 'time' to its contract"
            raise contradiction(f"{where}.{place.name}.feed", given="a feed", why=why, do=do)
    fed = {table.name.lower() for table in job.tables if table.feed}
    for index, step in enumerate(wide.steps):
        if isinstance(step, AsOf) and step.table.lower() in fed and step.max_age is None:
            where, given = f"{wide.name}: steps[{index}]", f"as_of {step.table} without 'max_age'"
            why = f"{job.path} keeps this table fresh from a feed, so a stream must know how far back to look"
            raise contradiction(where, given=given, why=why, do="Add 'max_age', as in 2h")
