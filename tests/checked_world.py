"""A wide table with a rule and a declared type for everything, a good row of it, and its tables."""

from typing import Any

from oracle import Row
from pyspark.sql import DataFrame, SparkSession
from wide_cases import NOON, frame, types_of

from spark_scoring.spec.wide import WideTable

MAPPING: dict[str, Any] = {
    "name": "checked",
    "rows": {
        "key": ["id"],
        "time": "at",
        "time_range": ["2013-01-01", "2014-01-01"],
        "columns": {
            "id": "bigint not null",
            "Origin": "string not null",
            "tail": "string",
            "at": "timestamp not null",
        },
    },
    "tables": {
        "planes": {"columns": {"tail": "string", "seats": "int"}},
        "weather": {"time": "seen", "columns": {"origin": "string", "seen": "timestamp", "temp": "double"}},
    },
    "steps": [
        {"lookup": "planes", "on": ["tail"], "take": ["seats"], "required": True},
        {"as_of": "weather", "on": {"Origin": "origin"}, "take": ["temp"]},
        {"columns": {"double_seats": "seats * 2", "four_seats": "double_seats * 2", "late": "seats + 1"}},
    ],
    "rules": {"small": "seats < 200", "warm": "temp > 10"},
}
WIDE = WideTable.unpack(MAPPING)
ROWS = types_of(WIDE.rows.columns)
GOOD: Row = {"id": 1, "Origin": "JFK", "tail": "N1", "at": NOON}


def tables(spark: SparkSession) -> dict[str, DataFrame]:
    planes = [{"tail": "N1", "seats": 100}, {"tail": "N2", "seats": 300}, {"tail": "N2", "seats": 300}]
    planes.append({"tail": "N3", "seats": 300})
    weather = [{"origin": "JFK", "seen": NOON - 1, "temp": 20.0}]
    given = {"planes": planes, "weather": weather}
    return {name: frame(spark, rows, types_of(WIDE.table(name).columns)) for name, rows in given.items()}
