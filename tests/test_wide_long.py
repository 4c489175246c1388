"""Long histories, large windows and skewed keys: the answer knows neither chunks nor plans."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from oracle import Row, World
from pyspark.sql import SparkSession
from test_wide_window import COLUMNS, EVERY, PYTHON, WIDEST, single
from wide_cases import (
    NOON,
    SECOND,
    Dice,
    collected,
    differing,
    expected,
    frame,
    frames_of,
    transformed,
    types_of,
    world_of,
)

from spark_scoring.spec.wide import WideTable
from tests.marks import slow

MS = 1000
SIZES = (
    1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 5000, 8192,
    8193,
)  # fmt: skip
ROWS: dict[str, Any] = {
    "key": ["id"],
    "time": "at",
    "columns": {"id": "bigint not null", "k": "string", "at": "timestamp not null"},
}
LARGE: dict[str, Any] = {
    "name": "large",
    "rows": ROWS,
    "tables": {"t": {"time": "seen", "known_at": "known", "columns": COLUMNS}},
    "steps": [
        {"window": "t", "on": ["k"], "last": "60s", "take": EVERY},
        {"window": "t", "on": ["k"], "last": "1s", "take": {"b_s": "sum(x)", "b_z": "last(s)", "b_n": "mean(n)"}},
        {"window": "t", "on": ["k"], "last": "2s", "take": {"e_t": "stddev(x)", "e_w": "sum(w)", "e_u": "min(d)"}},
    ],
}
# Sums of doubles of every size: small ones must survive beside large ones that cancel out.
HARD = (1e308, -1e308, 1e16, -1e16, 1.0, 5e-324, 1e-300, -1e-300, 2.0**53, 0.1, -0.0, 3.3)


def hard_row(dice: Dice) -> Row:
    wild = dice.random.uniform(-1, 1) * 10.0 ** dice.random.randint(-320, 300)
    return {
        "g": None,
        "x": dice.pick((None, wild, wild, dice.random.random(), dice.pick(HARD))),
        "f": dice.pick((None, single(dice.random.uniform(-1, 1) * 10.0 ** dice.random.randint(-44, 36)), single(0.1))),
        "i": dice.pick((None, 1, -(2**31), 2**31 - 1)),
        "n": dice.pick((None, 2**53 + 1, 2**62, -(2**62), dice.random.randrange(-(2**63), 2**63))),
        "d": Decimal(dice.random.randrange(-(10**12) + 1, 10**12)).scaleb(-2),
        "w": dice.pick((None, WIDEST, WIDEST.copy_negate(), Decimal("-0.000000000000000001"))),
        "s": dice.pick((None, f"{dice.random.random()}", "ü", "日本")),
        "b": dice.pick((None, True, False)),
    }


def planned(mapping: dict[str, Any], *, strategy: str) -> dict[str, Any]:
    """The definition with one way to come to the rows in all of its steps."""
    return {**mapping, "steps": [{**step, "strategy": strategy} for step in mapping["steps"]]}


@pytest.mark.parametrize("strategy", ["broadcast", slow("shuffle")])
def test_windows_of_any_size_agree_with_the_oracle(spark: SparkSession, strategy: str) -> None:
    dice, table, rows = Dice(1), [], []
    for size in SIZES:
        for i in range(size):
            seen = NOON + i * MS - dice.pick((0, 0, 0, MS))
            late = dice.pick((0, 0, 0, 0, 0, 0, 0, 700 * MS))
            table.append({"k": f"{size}", "seen": seen, "known": seen + late, **hard_row(dice)})
        ends = (NOON + 50 * SECOND, NOON + size * MS, NOON + dice.random.randrange(size * MS + 1))
        rows += [{"k": f"{size}", "at": at} for at in ends]
    dice.random.shuffle(table)
    world = world_of(planned(LARGE, strategy=strategy), tables={"t": table}, python=PYTHON)
    rows = [{"id": i, **row} for i, row in enumerate(rows)]

    found = transformed(spark, rows, world=world)

    assert {row["c"] for row in found} >= set(SIZES)
    assert differing(found, expected(rows, world=world), by=["id"]) == []


HISTORY: dict[str, Any] = {
    "name": "history",
    "rows": ROWS,
    "tables": {
        "plain": {"time": "seen", "columns": {"k": "string", "seen": "timestamp", "v": "bigint", "s": "string"}},
        "late": {
            "time": "seen",
            "known_at": "known",
            "columns": {"k": "string", "seen": "timestamp", "known": "timestamp", "v": "bigint", "x": "double"},
        },
    },
    "steps": [
        {"as_of": "plain", "on": ["k"], "take": {"a_v": "v", "a_s": "s"}},
        {"as_of": "plain", "on": ["k"], "take": {"b_v": "v"}, "strict": True},
        {"as_of": "plain", "on": ["k"], "take": {"c_v": "v"}, "max_age": "3650d"},
        {"as_of": "late", "on": ["k"], "take": {"d_x": "x", "d_v": "v"}},
        {"as_of": "late", "on": ["k"], "take": {"e_v": "v"}, "max_age": "1d", "strict": True},
    ],
}
DAY = 86_400 * SECOND
LENGTH, BEGIN = 20_000, NOON - 10 * 365 * DAY


def history_rows(dice: Dice, *, key: str, times: list[int]) -> dict[str, list[Row]]:
    """Rows of one key; a tenth of the late ones becomes known after up to half of the history."""
    span = max(times) - min(times)
    plain, late = [], []
    for i, time in enumerate(times):
        delay = dice.random.randrange(span // 2 + 1) if dice.random.random() < 0.1 else dice.pick((0, 0, 1, SECOND))
        plain.append({"k": key, "seen": time, "v": dice.pick((i, None)), "s": dice.pick(("a", "b", None))})
        late.append({"k": key, "seen": time, "known": time + delay, "v": i, "x": dice.pick((None, 0.0, -0.0, 1.5))})
    return {"plain": plain, "late": late}


def history_world(dice: Dice, *, strategy: str) -> World:
    """Years of history: one key with 20,000 rows, keys around powers of two, and keys with a row or two."""
    tables: dict[str, list[Row]] = {"plain": [], "late": []}
    lengths = {
        "long": LENGTH,
        "at once": 9000,
        **{f"{size}": size for size in SIZES},
        **{f"sparse{i}": 1 + i % 2 for i in range(50)},
    }
    for key, length in lengths.items():
        # steps of a microsecond, a second and a day, and none: ties that lie across any cut
        steps = [0 if key == "at once" else dice.pick((0, 1, SECOND, 3 * 3600 * SECOND)) for _ in range(length)]
        times = list(accumulate(steps, initial=BEGIN))[1:]
        for name, found in history_rows(dice, key=key, times=times).items():
            tables[name] += found
    for table in tables.values():
        dice.random.shuffle(table)
    return world_of(planned(HISTORY, strategy=strategy), tables=tables)


@pytest.mark.parametrize("strategy", ["broadcast", slow("shuffle")])
def test_an_as_of_without_an_age_sees_the_whole_history(spark: SparkSession, strategy: str) -> None:
    dice = Dice(2)
    world = history_world(dice, strategy=strategy)
    rows = [
        {"k": there["k"], "at": there["seen"] + dice.pick((-1, 0, 1, SECOND, DAY))}
        for table in world.tables.values()
        for there in dice.random.sample([there for there in table if there["k"] != "at once"], 250)
    ]
    keys = {there["k"] for there in world.tables["plain"]}
    rows += [{"k": key, "at": at} for key in keys for at in (BEGIN - 1, BEGIN, BEGIN + 70 * 365 * DAY)]
    rows = [{"id": i, **row} for i, row in enumerate(rows)]

    found = transformed(spark, rows, world=world)

    assert differing(found, expected(rows, world=world), by=["id"]) == []


@pytest.mark.parametrize("strategy", ["broadcast", "shuffle"])
def test_a_long_history_may_begin_at_the_earliest_instant_there_is(spark: SparkSession, strategy: str) -> None:
    wide = WideTable.unpack(
        {
            "name": "earliest",
            "rows": {"key": ["k"], "time": "at", "columns": {"k": "string", "at": "timestamp not null"}},
            "tables": {"e": {"time": "t", "columns": {"k": "string", "t": "timestamp", "v": "bigint"}}},
            "steps": [{"as_of": "e", "on": ["k"], "take": ["v"], "strategy": strategy}],
        }
    )
    table = spark.sql(
        "select 'a' as k, timestamp_micros(1378000000000000 + id) as t, id as v from range(9000)"
        " union all select 'a', timestamp_micros(-9223372036854775808), -1L"
    )
    rows = spark.sql(
        "select 'a' as k, timestamp_micros(at) as at from values (1377000000000000L), (1378000000004321L) as r(at)"
    )
    assert sorted(row["v"] for row in wide.transform(rows, {"e": table}).collect()) == [-1, 4321]


SKEWED: dict[str, Any] = {
    **HISTORY,
    "name": "skewed",
    "steps": [
        {"lookup": "names", "on": ["k"], "take": ["name"]},
        {"as_of": "late", "on": ["k"], "take": {"a_v": "v", "a_x": "x"}},
        {"as_of": "late", "on": {"name": "k"}, "take": {"b_v": "v"}, "max_age": "10m"},
        {
            "window": "late",
            "on": ["k"],
            "last": "30m",
            "take": {"n": "count(*)", "s": "sum(x)", "t": "stddev(x)", "z": "last(v)", "m": "mean(v) where x > 0.5"},
        },
    ],
    "tables": {**HISTORY["tables"], "names": {"columns": {"k": "string", "name": "string"}}},
}


@dataclass(frozen=True, kw_only=True)
class Skewed:
    """A world in which one key has half of all rows and the others follow Zipf's law."""

    world: World
    rows: list[Row]
    whole: list[Row]


def zipf_keys(dice: Dice, *, count: int) -> list[str]:
    weights = [200, *[200 / rank for rank in range(1, 100)]]
    weights[0] = sum(weights[1:])
    return dice.random.choices([f"k{i}" for i in range(100)], weights=weights, k=count)


@pytest.fixture(scope="module")
def skewed() -> Skewed:
    dice = Dice(6)
    late = []
    for i, key in enumerate(zipf_keys(dice, count=5000)):
        seen = NOON + dice.random.randrange(6 * 3600) * SECOND
        delay, x = dice.pick((0, 0, 0, 600 * SECOND)), dice.pick((None, 0.0, -0.0, 1e300, dice.random.random()))
        late.append({"k": key, "seen": seen, "known": seen + delay, "v": i % 7, "x": x})
    names = [{"k": f"k{i}", "name": f"k{i // 2}"} for i in range(90)]
    world = world_of(SKEWED, tables={"late": late, "names": names, "plain": []}, python=PYTHON_OF_SKEWED)
    rows = [
        {"id": i, "k": key, "at": NOON + dice.random.randrange(7 * 3600) * SECOND}
        for i, key in enumerate(zipf_keys(dice, count=1500))
    ]
    return Skewed(world=world, rows=rows, whole=expected(rows, world=world))


PYTHON_OF_SKEWED = {name: PYTHON[name] for name in ("x", "x > 0.5")} | {"v": lambda row: row["v"]}
PLANS: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "sorted joins, no adaption": {
        "spark.sql.autoBroadcastJoinThreshold": -1,
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.shuffle.partitions": 3,
    },
    "hashed joins, split skew": {
        "spark.sql.autoBroadcastJoinThreshold": -1,
        "spark.sql.join.preferSortMergeJoin": "false",
        "spark.sql.adaptive.skewJoin.skewedPartitionFactor": "1",
        "spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes": "1KB",
        "spark.sql.adaptive.advisoryPartitionSizeInBytes": "4KB",
        "spark.sql.shuffle.partitions": 5,
    },
    "one partition, small batches": {
        "spark.sql.shuffle.partitions": 1,
        "spark.sql.execution.arrow.maxRecordsPerBatch": 7,
    },
}


@contextmanager
def settings_of(spark: SparkSession, settings: dict[str, Any]) -> Iterator[None]:
    before = {name: spark.conf.get(name, None) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value) if value is not None else spark.conf.unset(name)


@pytest.mark.parametrize("plan", PLANS)
def test_skewed_keys_in_any_plan_give_the_same_bits_one_row_for_each(
    spark: SparkSession, tmp_path: Path, skewed: Skewed, plan: str
) -> None:
    world, files = skewed.world, len(plan) % 5 + 1
    given = {"rows": frame(spark, skewed.rows, types_of(world.wide.rows.columns)), **frames_of(spark, world)}
    for name, part in given.items():
        part.repartition(files).write.parquet(f"{tmp_path}/{name}")
        given[name] = spark.read.parquet(f"{tmp_path}/{name}")

    with settings_of(spark, PLANS[plan]):
        found = collected(world.wide.transform(given.pop("rows"), given))

    assert len(found) == len(skewed.rows)
    assert differing(found, skewed.whole, by=["id"]) == []


@pytest.mark.parametrize("backwards", [False, True])
def test_rows_in_the_order_of_time_find_what_shuffled_ones_find(
    spark: SparkSession, skewed: Skewed, backwards: bool
) -> None:
    rows = sorted(skewed.rows, key=lambda row: row["at"], reverse=backwards)

    found = transformed(spark, rows, world=skewed.world)

    assert differing(found, skewed.whole, by=["id"]) == []
