"""Frames from dicts and back, exact to the bit and the microsecond, and small worlds full of edges.

Spark is slow per job and fast per row: hundreds of small cases go through one job, told apart by their key.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, Phase, settings
from oracle import Row, World, bits, wide_row
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_scoring.jvm.kept import KeptRows
from spark_scoring.spec.wide import Column, WideTable
from spark_scoring.wide import transform

# A seed has nothing to shrink, and an example is a whole Spark job.
few = settings(
    max_examples=2,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

SECOND = 1_000_000
NOON = 1_357_041_600 * SECOND
"""2013-01-01 12:00 UTC."""

ARROW = {
    "string": pa.string(), "boolean": pa.bool_(), "tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(),
    "bigint": pa.int64(), "float": pa.float32(), "double": pa.float64(), "binary": pa.binary(), "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"), "timestamp_ntz": pa.timestamp("us"),
}  # fmt: skip


def arrow_type(kind: str) -> pa.DataType:
    """The type in Arrow; a struct holds atomic types only."""
    if kind.startswith("decimal("):
        precision, scale = kind[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    if kind.startswith("array<"):
        return pa.list_(arrow_type(kind[6:-1]))
    if kind.startswith("struct<"):
        fields = [part.split(":") for part in kind[7:-1].split(",")]
        return pa.struct([(name, arrow_type(inner)) for name, inner in fields])
    return ARROW[kind]


def frame(spark: SparkSession, rows: Sequence[Row], columns: Mapping[str, str]) -> DataFrame:
    """The rows as a frame; instants are microseconds."""
    arrays = []
    for name, kind in columns.items():
        values = [row[name] for row in rows]
        array = pa.array(values, pa.int64()) if kind == "timestamp" else pa.array(values, arrow_type(kind))
        arrays.append(array.cast(arrow_type(kind)))
    made = spark.createDataFrame(pa.table(arrays, names=list(columns)))
    # Spark takes a time without a zone as one of the session's, whatever Arrow says.
    return made.withColumns({name: F.col(name).cast(kind) for name, kind in columns.items() if "ntz" in kind})


def types_of(columns: Iterable[Column]) -> dict[str, str]:
    return {column.name: column.type for column in columns}


def collected(result: DataFrame) -> list[Row]:
    """The rows as dicts; instants are microseconds, `rejected` is its code."""
    plain = []
    for one in result.schema.fields:
        column, kind = F.col(f"`{one.name}`"), one.dataType.simpleString()
        column = F.unix_micros(column) if kind == "timestamp" else column
        plain.append((column["code"] if one.name == "rejected" else column).alias(one.name))
    return result.select(*plain).toArrow().to_pylist()


def same(rows: Sequence[Row], *, by: Sequence[str]) -> list[Any]:
    """The rows in an order of their own, each value as its bits."""
    ordered = sorted(rows, key=lambda row: repr([row[name] for name in by]))
    return [{name: bits(value) for name, value in row.items()} for row in ordered]


def differing(found: Sequence[Row], wanted: Sequence[Row], *, by: Sequence[str]) -> list[Any]:
    """(key, column, found value, wanted value) wherever two results differ in a bit."""
    if len(found) != len(wanted):
        return [("rows", len(found), len(wanted))]
    ordered = [sorted(rows, key=lambda row: repr([row[name] for name in by])) for rows in (found, wanted)]
    return [
        ([row[name] for name in by], name, row.get(name, "no column"), value)
        for row, other in zip(*ordered, strict=True)
        for name, value in other.items()
        if name not in row or bits(row[name]) != bits(value)
    ]


def frames_of(spark: SparkSession, world: World) -> dict[str, DataFrame]:
    wide = world.wide
    return {table.name: frame(spark, world.tables[table.name], types_of(table.columns)) for table in wide.tables}


@dataclass(kw_only=True)
class Keeping:
    """Keeps the indexes of all tables; `made` are those of one test."""

    made: dict[str, KeptRows] = field(default_factory=dict)

    def keeps(self, table: str) -> bool:
        return True

    def index(self, frame: DataFrame, *, tables: tuple[str, ...], what: str) -> KeptRows:
        if what not in self.made:
            self.made[what] = KeptRows.of(frame)
        return self.made[what]

    def close(self) -> None:
        for rows in self.made.values():
            rows.give_up()


def transformed(
    spark: SparkSession,
    rows: Sequence[Row],
    *,
    world: World,
    extra: Mapping[str, str] | None = None,
    keeper: Keeping | None = None,
) -> list[Row]:
    """What `transform` makes of the rows."""
    types = types_of(world.wide.rows.columns) | dict(extra or {})
    return collected(transform(world.wide, frame(spark, rows, types), frames_of(spark, world), keeper=keeper))


def expected(rows: Sequence[Row], *, world: World) -> list[Row]:
    return [wide_row(row, world=world) for row in rows]


FLOATS = (None, -0.0, 0.0, float("nan"), 1.5, -1.5, 0.1, 1e300, float("inf"), -float("inf"), 3.3, 1e-320)
KEYS = ("a", "ü", "e\u0301", "\u00e9", "日本", "", " ", None)


class Dice:
    """Random values that meet at edges: few keys, few instants and their neighbours by a microsecond."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, values: Sequence[Any]) -> Any:
        return self.random.choice(values)

    def instant(self, *, spread: int = 12) -> int:
        return NOON + self.random.randrange(spread) * SECOND + self.pick((-1, 0, 0, 1))

    def maybe_instant(self) -> int | None:
        return self.pick((None, *[self.instant() for _ in range(9)]))

    def later(self, time: int | None) -> int | None:
        """When a row became known: mostly at or after its time."""
        delay = self.pick((0, 0, 1, SECOND, 2 * SECOND, 5 * SECOND, -SECOND))
        return self.pick((None, *[None if time is None else time + delay] * 9))

    def repeated(self, rows: Sequence[Row]) -> list[Row]:
        """The rows in random order, some of them twice."""
        twice = [*rows, *self.random.sample(list(rows), len(rows) // 5)]
        self.random.shuffle(twice)
        return twice


def world_of(mapping: Mapping[str, Any], *, tables: Mapping[str, Sequence[Row]], python: Any = None) -> World:
    return World(wide=WideTable.unpack(mapping), tables=tables, python=python or {})
