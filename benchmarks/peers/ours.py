"""spark_scoring's own wide table."""

from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame
from work import AsOf, Table, Window, Work

from spark_scoring import WideTable
from spark_scoring.run.reach import reach_of
from spark_scoring.wide import transform


def wide_table(work: Work, read: Callable[[Table], DataFrame]) -> DataFrame:
    """The rows with the columns of all steps."""
    wide = WideTable.unpack(definition(work))
    tables = {table.name: read(table) for table in work.tables()}
    if not work.cut:
        return wide.transform(read(work.rows), tables)
    reach = reach_of(read(work.rows), wide)
    return transform(wide, read(work.rows), tables, within=reach.times, keys=reach.keys)


def definition(work: Work) -> dict[str, Any]:
    """The work as `wide.yaml` would say it."""
    columns = {
        "id": "bigint not null", "k": "bigint", "t": "timestamp not null", "hour": "timestamp", "x": "double",
    }  # fmt: skip
    history = {"k": "bigint", "t": "timestamp", "v1": "double", "v2": "double", "v3": "double"}
    return {
        "name": "benchmark",
        "rows": {"key": ["id"], "time": "t", "columns": columns},
        "tables": {table.name: {"time": "t", "columns": history} for table in work.tables()},
        "steps": [*map(_as_of, work.as_of), *map(_window, work.windows)],
    }


def _as_of(step: AsOf) -> dict[str, Any]:
    take = dict(zip(step.names(), step.take, strict=True))
    return {"as_of": step.table.name, "on": ["k"], "max_age": f"{step.max_age_s}s", "take": take}


def _window(step: Window) -> dict[str, Any]:
    aggregates = ["count(*)" if function == "count" else f"{function}(v3)" for function in step.take]
    take = dict(zip(step.names(), aggregates, strict=True))
    return {"window": step.table.name, "on": ["k"], "last": f"{step.last_s}s", "take": take}
