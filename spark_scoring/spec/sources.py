"""Where data lives: any Spark source, Delta tables, Kafka topics."""

import posixpath
import re
from dataclasses import dataclass, field

from spark_scoring.errors import contradiction, missing_key
from spark_scoring.spec.read import Reader

# of a Kafka consumer what Spark allows nobody to set
SPARKS_OWN = (
    "auto.offset.reset", "enable.auto.commit", "interceptor.classes", "key.deserializer", "value.deserializer",
)  # fmt: skip
# what the guarantees need: `io/kafka.py` tells the clients so
FIXED = {"isolation.level": "read_committed", "acks": "all", "linger.ms": "0"}
# of Spark's source what the job says elsewhere, or what it sets itself: below kafka.options nobody would read it
SAID_BY = {
    "bootstrap.servers": "kafka.servers",
    "startingoffsets": "kafka.start",
    "maxoffsetspertrigger": "kafka.max_rows_per_batch",
    "subscribe": "rows.stream.kafka",
    "subscribepattern": "rows.stream.kafka",
    "assign": "rows.stream.kafka",
}
SOURCES_OWN = (
    "endingoffsets", "endingoffsetsbytimestamp", "endingtimestamp", "failondataloss", "fetchoffset.numretries",
    "fetchoffset.retryintervalms", "groupidprefix", "includeheaders", "kafkaconsumer.polltimeoutms", "maxtriggerdelay",
    "maxrecordsperpartition", "minoffsetspertrigger", "minpartitions", "startingoffsetsbytimestamp",
    "startingoffsetsbytimestampstrategy", "startingtimestamp",
)  # fmt: skip
FORMATS = ("delta", "table", "parquet", "orc", "csv", "json")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A Spark source: a format with a path, or 'table' with a catalog name. `pinned`: read at one version."""

    format: str
    location: str = field(repr=False)  # it may hold credentials, as in s3a://key:secret@bucket
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    pinned: bool = True


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A Kafka topic of JSON records; `time_unit` is the unit of timestamps given as numbers."""

    topic: str
    format: str = "json"
    time_unit: str | None = None
    unknown: str = "ignore"


@dataclass(frozen=True, kw_only=True)
class TableSource:
    """Where a table of the wide definition lives, and the topic that keeps it fresh."""

    name: str
    source: Source
    feed: Topic | None = None


@dataclass(frozen=True, kw_only=True)
class Kafka:
    """One broker; `options` pass through to Spark and are never printed."""

    servers: str
    start: str = "earliest"
    max_rows_per_batch: int | None = None
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def one_spelling(path: str) -> str:
    """The path as every spelling of the same place has it: Spark takes /x, /x/, /./x and file:///x for one."""
    match = re.fullmatch(r"(?:([A-Za-z][A-Za-z0-9+.-]*):(?://([^/]*))?)?(.*)", path, re.DOTALL)
    assert match is not None
    scheme, host, rest = match[1] or "file", match[2] or "", posixpath.normpath(match[3] or "/")
    return f"{scheme.lower()}://{host}{re.sub('^//', '/', rest)}"


def public_spelling(path: str) -> str:
    """The same without a key and secret as in s3a://key:secret@bucket, for what is written down."""
    return re.sub(r"://[^/]*:[^/]*@", "://", one_spelling(path))


def read_options(reader: Reader) -> tuple[tuple[str, str], ...]:
    """Options as texts, sorted by name; numbers and booleans as YAML writes them."""
    found = []
    for name, item in reader.items("a mapping {option: text}"):
        value = item.value
        if value is None or isinstance(value, dict | list):
            raise item.refuse("a text, a number, true or false")
        found.append((name, str(value).lower() if isinstance(value, bool) else str(value)))
    return tuple(sorted(found))


def _kafka_options(reader: Reader) -> tuple[tuple[str, str], ...]:
    for name, item in reader.items("a mapping {option: text}"):
        plain = name.lower().removeprefix("kafka.").strip()
        if plain in SAID_BY:
            why, do = "here nobody reads it", f"Say it as {SAID_BY[plain]}"
            raise contradiction(item.where, given=f"the option {name}", why=why, do=do)
        if not plain or plain in (*SPARKS_OWN, *SOURCES_OWN):
            why = (
                "Spark sets it itself and refuses any other value"
                if plain in SPARKS_OWN
                else "no client of Kafka has it"
            )
            raise contradiction(item.where, given=f"the option {name or repr(name)}", why=why, do="Leave it out")
        if plain in FIXED and str(item.value).lower() != FIXED[plain]:
            why = f"only {FIXED[plain]} keeps records from being lost, doubled or late"
            raise contradiction(item.where, given=f"the option {name}", why=why, do="Leave it out")
    return read_options(reader)


def _source_format(reader: Reader, *, formats: tuple[str, ...]) -> str:
    given = [name for name, _ in reader.items(f"a mapping with one of {', '.join(formats)}")]
    found = [name for name in given if name in formats]
    if not found:
        raise missing_key(reader.where, key=formats[0], given=given, meaning=f"one of {', '.join(formats)}")
    if len(found) > 1:
        why, do = "data lives in one place", "Keep one of them"
        raise contradiction(reader.where, given=f"{' and '.join(found)} together", why=why, do=do)
    return found[0]


def read_source(reader: Reader, *, extra: tuple[str, ...] = ()) -> Source:
    """A source in any format; `extra` are keys that something else reads."""
    reader.keys(*FORMATS, "options", "pinned", *extra)
    kind = _source_format(reader, formats=FORMATS)
    place = reader.need(kind, "")
    location = place.text("a table name") if kind == "table" else place.place()
    options = reader.maybe("options", read_options, ())
    pinned = reader.maybe("pinned", Reader.bool, kind in ("delta", "table"))
    return Source(format=kind, location=location, options=options, pinned=pinned)


def read_topic(reader: Reader) -> Topic:
    """A Kafka topic."""
    reader.keys("kafka", "format", "time_unit", "unknown")
    topic = reader.need("kafka", "the name of a topic").text("the name of a topic")
    return Topic(
        topic=topic,
        format=_choice(reader, "format", allowed=("json",)) or "json",
        time_unit=_choice(reader, "time_unit", allowed=("s", "ms", "us")),
        unknown=_choice(reader, "unknown", allowed=("ignore", "reject")) or "ignore",
    )


def _choice(reader: Reader, key: str, *, allowed: tuple[str, ...]) -> str | None:
    return reader.maybe(key, lambda found: found.one_of(*allowed), None)


def read_table_source(name: str, reader: Reader) -> TableSource:
    """A table's place: pinned (Delta) unless it says `pinned: false`."""
    source = read_source(reader, extra=("feed",))
    feed = reader.maybe("feed", read_topic, None)
    if source.format not in ("delta", "table") and (source.pinned or "pinned" not in dict(reader.items())):
        why, do = (
            "only Delta keeps versions that a commit can be pinned to",
            "Use delta, or add 'pinned: false'",
        )
        raise contradiction(reader.where, given=f"a table in format {source.format}", why=why, do=do)
    if feed and not source.pinned:
        why, do = "a feed appends to a Delta table in transactions", "Use delta, or leave out 'feed'"
        raise contradiction(reader.where, given="'feed' with 'pinned: false'", why=why, do=do)
    return TableSource(name=name, source=source, feed=feed)


def read_kafka(reader: Reader) -> Kafka:
    """The broker."""
    reader.keys("servers", "start", "max_rows_per_batch", "options")
    return Kafka(
        servers=reader.need("servers", "host:port, several with commas").text("host:port, several with commas"),
        start=reader.maybe("start", lambda found: found.one_of("earliest", "latest"), "earliest"),
        max_rows_per_batch=reader.maybe("max_rows_per_batch", lambda found: found.int(least=1), None),
        options=reader.maybe("options", _kafka_options, ()),
    )
