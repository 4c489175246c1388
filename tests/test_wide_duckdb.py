"""The same questions put to DuckDB: its ASOF JOIN and its aggregates know nothing of this package."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from oracle import Row
from pyspark.sql import SparkSession
from wide_cases import NOON, SECOND, Dice, arrow_type, differing, transformed, world_of

COLUMNS = {"k": "string", "g": "int", "seen": "timestamp", "known": "timestamp", "v": "bigint", "x": "double",
           "s": "string", "d": "decimal(12,2)"}  # fmt: skip
ROWS = {"id": "bigint not null", "k": "string", "g": "int", "at": "timestamp not null"}
MAPPING: dict[str, Any] = {
    "name": "asked_twice",
    "rows": {"key": ["id"], "time": "at", "columns": ROWS},
    "tables": {
        "names": {"columns": {"k": "string", "name": "string"}},
        "plain": {"time": "seen", "columns": COLUMNS},
        "late": {"time": "seen", "known_at": "known", "columns": COLUMNS},
    },
    "steps": [
        {"lookup": "names", "on": ["k"], "take": ["name"]},
        {"as_of": "plain", "on": ["k"], "take": {"a_v": "v", "a_x": "x", "a_s": "s"}},
        {"as_of": "plain", "on": ["k", "g"], "take": {"b_v": "v", "b_d": "d"}, "max_age": "90s"},
        {"as_of": "plain", "on": ["k"], "take": {"c_x": "x", "c_s": "s"}, "strict": True},
        {"as_of": "late", "on": ["k"], "take": {"d_v": "v", "d_x": "x"}},
        {
            "window": "late",
            "on": ["k"],
            "last": "10m",
            "take": {
                "n": "count(*)", "n_x": "count(x)", "u": "count_distinct(v)", "sum_v": "sum(v)", "sum_d": "sum(d)",
                "low": "min(x)", "high": "max(s)", "mean_v": "mean(v)", "t": "stddev(x)", "m": "mean(x)",
            },
        },
        {"window": "plain", "on": ["k", "g"], "last": "1h", "take": {"w_n": "count(*)", "w_d": "sum(d) where v > 3"}},
    ],
}  # fmt: skip

# ASOF JOIN takes one of several rows of a time, so the one that should win is kept beforehand.
ONE_A_TIME = "(select * from {table} qualify row_number() over (partition by {key}, seen order by {order}) = 1)"
NEAREST = """
    select id, {taken} from rows asof left join {one} as t on {on} and rows.at {sign} t.seen
"""


def nearest(take: dict[str, str], *, key: str, sign: str = ">=", age_us: int | None = None) -> str:
    order = ", ".join(f"{source} desc nulls last" for source in take.values())
    one = ONE_A_TIME.format(table="plain", key=key, order=order)
    young = "true" if age_us is None else f"epoch_us(rows.at) - epoch_us(t.seen) <= {age_us}"
    taken = ", ".join(f"case when {young} then t.{source} end as {new}" for new, source in take.items())
    on = " and ".join(f"rows.{name} = t.{name}" for name in key.split(", "))
    return NEAREST.format(taken=taken, one=one, on=on, sign=sign)


QUERIES = (
    "select id, case when count(n.k) = 1 then any_value(n.name) end as name, count(n.k) > 1 as twice"
    " from rows left join names as n on rows.k = n.k group by id",
    nearest({"a_v": "v", "a_x": "x", "a_s": "s"}, key="k"),
    nearest({"b_v": "v", "b_d": "d"}, key="k, g", age_us=90 * SECOND),
    nearest({"c_x": "x", "c_s": "s"}, key="k", sign=">"),
    "select id, t.v as d_v, t.x as d_x from rows left join late as t"
    " on rows.k = t.k and t.seen <= rows.at and t.known <= rows.at"
    " qualify row_number() over (partition by id order by t.seen desc nulls last, t.known desc nulls last,"
    " t.v desc nulls last, t.x desc nulls last) = 1",
    "select id, count(t.seen) as n, count(x) as n_x, count(distinct v) as u, sum(v) as sum_v, sum(d) as sum_d,"
    " min(x) as low, max(s) as high, avg(v) as mean_v, stddev_samp(x) as t, avg(x) as m from rows left join late as t"
    " on rows.k = t.k and t.seen >= rows.at - interval 10 minutes and t.seen < rows.at and t.known <= rows.at"
    " group by id",
    "select id, count(t.seen) as w_n, sum(d) filter (where v > 3) as w_d from rows left join plain as t"
    " on rows.k = t.k and rows.g = t.g and t.seen >= rows.at - interval 1 hour and t.seen < rows.at group by id",
)
ROUGH = ("m", "t", "mean_v")
"""What DuckDB rounds in a way of its own."""


@pytest.fixture
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def answers(duck: duckdb.DuckDBPyConnection, tables: dict[str, list[Row]], types: dict[str, dict[str, str]]) -> Any:
    """The columns of all queries by the id of a row."""
    for name, rows in tables.items():
        kinds = {column: arrow_type(kind.removesuffix(" not null")) for column, kind in types[name].items()}
        columns = [
            pa.array([row[column] for row in rows], pa.int64() if pa.types.is_timestamp(kind) else kind).cast(kind)
            for column, kind in kinds.items()
        ]
        duck.register(name, pa.table(columns, names=list(kinds)))
    found: dict[int, Row] = {}
    for query in QUERIES:
        for row in duck.sql(query).to_arrow_table().to_pylist():
            found[row["id"]] = {**found.get(row["id"], {}), **row}
    return found


CENTS = tuple(Decimal(i * 7 - 99).scaleb(-2) for i in range(40))


def table_rows(dice: Dice, *, count: int, keys: list[Any]) -> list[Row]:
    rows = []
    for _ in range(count):
        seen = dice.pick((None, *[NOON + dice.random.randrange(6 * 3600) * SECOND for _ in range(30)]))
        known = dice.pick((None, *[None if seen is None else seen + dice.pick((0, 0, 1, 60 * SECOND))] * 30))
        numbers = {"v": dice.pick((None, 1, 2, 3, 4, 5)), "x": dice.pick((None, 0.0, dice.random.random(), 1e9))}
        named = {"g": dice.pick((1, 2, None)), "s": dice.pick(("a", "ü", "日本", None)), "d": dice.pick((None, *CENTS))}
        rows.append({"k": dice.pick(keys), "seen": seen, "known": known, **numbers, **named})
    return rows


def test_duckdb_gives_the_same_answers(spark: SparkSession, duck: duckdb.DuckDBPyConnection) -> None:
    dice = Dice(21)
    # one key of three has half of the rows
    keys = [*[f"k{i}" for i in range(60)], *["hot"] * 61, None]
    names = [{"k": f"k{i % 50}", "name": f"n{i}"} for i in range(55)]
    tables = {"names": names} | {name: table_rows(dice, count=12_000, keys=keys) for name in ("plain", "late")}
    seconds = [dice.random.randrange(7 * 3600) for _ in range(2000)]
    rows = [
        {"id": i, "k": dice.pick(keys), "g": dice.pick((1, 2, None)), "at": NOON + at * SECOND + dice.pick((-1, 0, 1))}
        for i, at in enumerate(seconds)
    ]
    types = {"rows": ROWS, "names": {"k": "string", "name": "string"}, "plain": COLUMNS, "late": COLUMNS}

    found = transformed(spark, rows, world=world_of(MAPPING, tables=tables))
    answered = answers(duck, {"rows": rows, **tables}, types)

    given = [{name: row[name] for name in row if name in answered[0] and name not in ROUGH} for row in found]
    wanted = [{name: answered[row["id"]][name] for name in row} for row in given]
    assert len(found) == len(rows) and len(given[0]) == 20
    assert differing(given, [as_spark(row) for row in wanted], by=["id"]) == []
    rough = [{name: row[name] for name in ROUGH} for row in found]
    assert rough == [{name: close(answered[row["id"]][name]) for name in ROUGH} for row in found]
    ambiguous = {row["id"]: row["rejected"] == "LOOKUP_AMBIGUOUS:names" for row in found}
    assert ambiguous == {key: row["twice"] for key, row in answered.items()}


def as_spark(row: Row) -> Row:
    """DuckDB sums whole numbers as 128 bits, which Arrow shows as decimals."""
    return {**row, "sum_v": None if row["sum_v"] is None else int(row["sum_v"])}


def close(value: float | None) -> Any:
    return value if value is None else pytest.approx(value, rel=1e-9, abs=1e-6)
