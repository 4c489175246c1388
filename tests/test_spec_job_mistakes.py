"""Mistakes in a job: each is named with its place, and no message shows a secret."""

from typing import Any

import pytest
from given_job import DROP, ENVIRON, setting, unpack

from spark_scoring.errors import ConfigError
from spark_scoring.spec.job import Job

SECRET = "S3cret/@"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [("kafka", "${PW}", "kafka: expected a mapping, got a value that is not shown."),
     ("kafka/options", "${PW}", "kafka.options: expected a mapping {option: text}, got a value that is not shown."),
     ("kafka/options", SECRET, "kafka.options: expected a mapping {option: text}, got a value that is not shown."),
     ("kafka/options", {"a": f"pa${{{SECRET}}}ss"}, "kafka.options.a: '${…}' stands for an environment variable, and"),
     ("kafka/options", {"a": f"pa${{PW {SECRET}"}, "kafka.options.a: '${' begins the name of an environment variable,"),
     ("tables/planes/options", [SECRET], "tables.planes.options: expected a mapping {option: text}, got a list."),
     ("kafka/start", "${PW}", "kafka.start: '${PW}' is not allowed here. Allowed: earliest, latest."),
     ("kafka/max_rows_per_batch", "a${PW}", "kafka.max_rows_per_batch: expected a whole number, got the text 'a${PW}'"),
     ("trigger/every", "${PW}", "trigger.every: '${PW}' is not allowed here."),
     ("name", "${PW}", "name: the name '${PW}' is not allowed"),
     ("models/champion", "${PW}", "models.champion: '${PW}' is not allowed here."),
     ("registry", [SECRET], "registry: expected a URI, got a list."),
     ("registry", 12345, "registry: expected a URI, got a value that is not shown.")],
)  # fmt: skip
def test_no_message_shows_a_secret(path: str, value: Any, expected: str) -> None:
    mapping = setting(path, value)
    with pytest.raises(ConfigError) as caught:
        Job.unpack(mapping, {**ENVIRON, "PW": SECRET}, source="job.yaml")
    assert str(caught.value).startswith(f"job.yaml: {expected}") and SECRET not in str(caught.value)


ERRORS: list[tuple[str, Any, str]] = [
    ("modles", {}, "job.yaml: modles: unknown key 'modles'. Did you mean 'models'?"),
    ("name", "a/b", "job.yaml: name: the name 'a/b' is not allowed"),
    ("rows", {}, "job.yaml: rows: key 'batch' is missing."),
    ("rows/batch", {}, "job.yaml: rows.batch: key 'delta' is missing."),
    ("rows/batch", {"delta": "a", "csv": "b"}, "job.yaml: rows.batch: delta and csv together"),
    ("rows/batch", {"avro": "a"}, "job.yaml: rows.batch.avro: unknown key 'avro'."),
    (
        "rows/batch",
        {"delta": "${NOPE}"},
        "job.yaml: rows.batch.delta: environment variable 'NOPE' is not set.",
    ),
    (
        "rows/stream/format",
        "avro",
        "job.yaml: rows.stream.format: 'avro' is not allowed here. Allowed: json.",
    ),
    ("rows/stream/unknown", "drop", "job.yaml: rows.stream.unknown: 'drop' is not allowed here."),
    ("rows/stream/time_unit", "ns", "job.yaml: rows.stream.time_unit: 'ns' is not allowed here."),
    (
        "rows/stream/kafka",
        "arrivals",
        "job.yaml: tables.arrivals.feed.kafka: the name 'arrivals' exists already",
    ),
    ("kafka", DROP, "job.yaml: key 'kafka' is missing."),
    ("kafka/start", "now", "job.yaml: kafka.start: 'now' is not allowed here. Allowed: earliest, latest."),
    ("kafka/max_rows_per_batch", 0, "job.yaml: kafka.max_rows_per_batch: '0' is not allowed here."),
    ("kafka/max_rows_per_batch", "5", "job.yaml: kafka.max_rows_per_batch: expected a whole number"),
    ("kafka/options", {"a": []}, "job.yaml: kafka.options.a: expected a text"),
    ("kafka/options", {"kafka.bootstrap.servers": "x"}, "job.yaml: kafka.options.kafka.bootstrap.servers: the"),
    ("kafka/options", {"startingOffsets": "x"}, "job.yaml: kafka.options.startingOffsets: the option"),
    ("kafka/options", {"minPartitions": 3}, "job.yaml: kafka.options.minPartitions: the option mi"),
    ("kafka/options", {"": "x"}, "job.yaml: kafka.options.: the option '': no client"),
    ("kafka/options", {"Auto.offset.reset": "latest"}, "job.yaml: kafka.options.Auto.offset.reset: the option Auto"),
    (
        "kafka/options",
        {"kafka.isolation.level": "read_uncommitted"},
        "job.yaml: kafka.options.kafka.isolation.level",
    ),
    ("kafka/options", {"acks": 1}, "job.yaml: kafka.options.acks: the option acks: only all keeps records"),
    ("tables/planes", {"parquet": "p"}, "job.yaml: tables.planes: a table in format parquet"),
    ("tables/PLANES", {"delta": "p"}, "job.yaml: tables.PLANES: the name 'PLANES' exists already"),
    (
        "tables/planes",
        {"csv": "p", "pinned": False, "feed": {"kafka": "t"}},
        "job.yaml: tables.planes: 'feed' with",
    ),
    ("models", {}, "job.yaml: models: key 'champion' is missing."),
    ("models/champion", "flight_delay", "job.yaml: models.champion: 'flight_delay' is not allowed here."),
    ("models/challenger", {"model": "models:/a/1"}, "job.yaml: models.challenger: key 'share' is missing."),
    ("models/challenger", "models:/a/1", "job.yaml: models.challenger: key 'share' is missing. Given: model."),
    ("models/challenger", "a", "job.yaml: models.challenger: 'a' is not allowed here."),
    (
        "models/champion",
        {"model": "models:/a/1", "runtime": "java"},
        "job.yaml: models.champion.runtime: 'java' is not",
    ),
    (
        "models/challenger",
        {"model": "models:/a/1", "share": 2},
        "job.yaml: models.challenger.share: '2' is not",
    ),
    ("models/shadow", "models:/a/1", "job.yaml: models.shadow: expected a list of models"),
    ("output/stream", DROP, "job.yaml: output: key 'stream' is missing. Given: batch, keep."),
    *[
        ("output/stream", same, "job.yaml: output: batch and stream in one table")
        for same in (
            "/data/scores/",
            "/data//scores",
            "/data/./scores",
            "/data/x/../scores",
            "file:/data/scores",
            "file:///data/scores",
            "FILE:///data/scores//",
        )
    ],
    (
        "output/keep",
        ["rows"],
        "job.yaml: output.keep[0]: 'rows' is not allowed here. Allowed: input, features.",
    ),
    ("trigger", "twice", "job.yaml: trigger: expected 'once' or a mapping"),
    ("trigger", {"every": "5"}, "job.yaml: trigger.every: '5' is not allowed here."),
    (
        "stop_when/rejected_share",
        1,
        "job.yaml: stop_when.rejected_share: '1' is not allowed here. Allowed: a number of",
    ),
    ("stop_when/rejected_share", -0.1, "job.yaml: stop_when.rejected_share: '-0.1' is not allowed here."),
    ("stop_when/rejected_share", True, "job.yaml: stop_when.rejected_share: expected a number"),
    *[
        (
            path,
            "/a\0b",
            f"job.yaml: {path.replace('/', '.')}: '/a\\0b' is not allowed here. Allowed: a path, which holds no",
        )
        for path in ("state", "output/batch", "output/stream", "rows/batch/delta", "tables/planes/delta")
    ],
    *[
        (path, given, f"job.yaml: {path.replace('/', '.')}: '{given}' is not allowed here. Allowed: a path that begins")
        for path in ("state", "output/batch", "output/stream", "rows/batch/delta", "tables/planes/delta")
        for given in ("a:b/t", "2013-09-01T00:00", "file:x", ":x")
    ],
    ("models/champion", "models:/m/abc", "job.yaml: models.champion: 'models:/m/abc' is not allowed here."),
    ("trust", ["abc"], "job.yaml: trust[0]: 'abc' is not allowed here. Allowed: a model URI"),
    ("trust", ["0123456789ab"], "job.yaml: trust[0]: '0123456789ab' is not allowed here."),
    ("trust", [32 * "A"], f"job.yaml: trust[0]: '{32 * 'A'}' is not allowed here."),
    ("state", DROP, "job.yaml: key 'state' is missing."),
]


@pytest.mark.parametrize(("path", "value", "expected"), ERRORS, ids=lambda value: str(value)[:40])
def test_mistakes(path: str, value: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        unpack(setting(path, value))
    assert str(caught.value).startswith(expected)
