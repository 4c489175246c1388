"""Whether two contestants gave the same answer: counts and sums that no order of the rows changes."""

from collections.abc import Mapping

import duckdb
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from work import START_S, Work

Checksum = Mapping[str, float]

# a weight for each row ties a value to its row; small enough that sums of quarters stay exact in doubles
_WEIGHT = "(1 + id % 1009)"
_TOLERANCE = 1e-9


def expressions(work: Work, *, second: str) -> dict[str, str]:
    """SQL aggregates by name, in the common dialect of Spark and DuckDB; `second` gives a row's time in seconds."""
    sums = {
        "rows": "count(*)",
        "id": f"sum(id * {_WEIGHT})",
        "k": f"sum(k * {_WEIGHT})",
        "t": f"sum(({second} - {START_S}) * {_WEIGHT})",
    }
    for name in work.added():
        sums[f"{name}: known"] = f"count({name})"
        sums[f"{name}: sum"] = f"coalesce(sum(cast({name} as double) * {_WEIGHT}), 0)"
    return sums


def of_frame(frame: DataFrame, *, work: Work) -> Checksum:
    """The checksum of a frame of Spark's."""
    wanted = expressions(work, second="unix_seconds(t)")
    return frame.agg(*[F.expr(sql).alias(name) for name, sql in wanted.items()]).first().asDict()


def of_query(connection: duckdb.DuckDBPyConnection, *, query: str, work: Work) -> Checksum:
    """The checksum of a query of DuckDB's."""
    wanted = expressions(work, second="cast(epoch(t) as bigint)")
    select = ", ".join(wanted.values())
    found = connection.execute(f"select {select} from ({query})").fetchone()
    return dict(zip(wanted, found, strict=True))


def of_arrow(answer: pa.Table, *, work: Work) -> Checksum:
    """The checksum of a table in memory."""
    connection = duckdb.connect()
    connection.register("answer", answer)
    return of_query(connection, query="select * from answer", work=work)


def differences(ours: Checksum, theirs: Checksum, *, exact: bool) -> list[str]:
    """The names whose sums differ: as-of answers to the last bit, float aggregates in the ninth digit."""
    tolerance = 0.0 if exact else _TOLERANCE
    return [name for name in ours if abs(ours[name] - theirs[name]) > tolerance * abs(ours[name])]
