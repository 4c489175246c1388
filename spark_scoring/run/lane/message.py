"""A score as it stands on the topic: JSON for whoever reads it, the whole output row in a header for the landing.

JSON has no NaN and no bytes, and a decimal or an instant in it is a matter of taste. So the row that is landed is not
read from it: the header `row` holds it to the bit (`jvm/java/rows`). `run` names the run of the lane that made it,
`source` the record that it scores, as `<topic id>/<partition>/<offset>`.
"""

from collections.abc import Sequence
from urllib.parse import quote as url_quote

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame
from pyspark.sql import types as T

from spark_scoring.jvm.functions import call, ready
from spark_scoring.run.lane.runs import Run
from spark_scoring.spec.job import Job
from spark_scoring.spec.sql_tokens import quote
from spark_scoring.wide.frames import column, named

SAID = (
    "event_time", "outcome", "reason", "reason_detail", "score", "label", "model", "model_version", "role", "source",
)  # fmt: skip
# bytes of a key column's text: what is longer stands in the header alone, and not two times more
LONGEST_KEY = 4096
_JSON = "map('ignoreNullFields', 'false', 'timestampFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX\")"
# null for bytes that are no UTF-8: anything may stand on a topic
_HEADER = "try_validate_utf8(cast(get(filter(__headers, one -> one.key = '{}'), 0).value as string))"


def messages(frame: DataFrame, *, job: Job, run: Run, keys: Sequence[str], partitions: int) -> DataFrame:
    """Output rows, without what belongs to a commit, as records for Kafka.

    All scores of a partition of the rows stand in one partition, in the order of the rows.
    """
    ready(frame.sparkSession)
    key = [_bounded(frame, name) for name in keys]
    said = [*key, *map(column, SAID), f"{quote(run.run_id)} as run"]
    place = "concat_ws('/', source.topic_id, source.partition, source.offset)"
    whole = call("pack_row", "", f"struct({', '.join(map(column, frame.columns))})")
    headers = {"run": _bytes(quote(f"{job.name}/{run.run_id}")), "source": _bytes(place), "row": whole}
    listed = ", ".join(f"named_struct('key', '{name}', 'value', {value})" for name, value in headers.items())
    return frame.selectExpr(
        f"{_bytes(_json(key))} as key",
        f"{_bytes(_json(said))} as value",
        f"array({listed}) as headers",
        f"cast(pmod(source.partition, {partitions}) as int) as partition",
    )


def said_of(records: DataFrame) -> DataFrame:
    """Records of the topic with what their headers say: `run`, `topic_id`, `partition`, `offset`; null if nothing.

    Of a place that is not whole nothing is said.
    """
    named = records.selectExpr("*", f"{_HEADER.format('run')} as run", f"{_HEADER.format('source')} as __place")
    parts = {"topic_id": "string", "partition": "int", "offset": "bigint"}
    found = [
        f"try_cast(get(split(__place, '/'), {i}) as {kind}) as {name}" for i, (name, kind) in enumerate(parts.items())
    ]
    whole = "partition >= 0 and offset >= 0 and topic_id is not null"
    kept = [f"case when {whole} then {name} end as {name}" for name in parts]
    return named.selectExpr("*", *found).selectExpr(*records.columns, "run", *kept)


def row_of(run: Run) -> Column:
    """The output row in the headers of a record of this run."""
    packed = "get(filter(__headers, one -> one.key = 'row'), 0).value"
    return F.expr(call("unpack_row", url_quote(run.schema.json(), safe=""), packed))


def _bounded(frame: DataFrame, name: str) -> str:
    """A key column for readers; null where it is too long."""
    kind, given = frame.schema[name].dataType, column(name)
    if isinstance(kind, T.AtomicType) and not isinstance(kind, T.StringType | T.BinaryType):
        return given
    return named(f"if(octet_length(cast({given} as string)) > {LONGEST_KEY}, null, {given})", name)


def _json(columns: Sequence[str]) -> str:
    return f"to_json(struct({', '.join(columns)}), {_JSON})"


def _bytes(text: str) -> str:
    return f"encode({text}, 'UTF-8')"
