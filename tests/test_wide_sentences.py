"""Sentences of the semantics one by one: edges to the microsecond, ties, empty windows, types, time ranges."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from oracle import Row
from pyspark.sql import SparkSession
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

from spark_scoring.errors import ConfigError
from spark_scoring.spec.wide import WideTable
from spark_scoring.wide import transform

NAN = float("nan")

AGES = {"7s": 7 * SECOND, "400d": 400 * 86_400 * SECOND}
BASES = (NOON, 0, -1, 7 * SECOND * 10**6, -7 * SECOND * 10**7, -NOON, 86_399_999_999, 951_782_400 * SECOND)


def edged() -> dict[str, Any]:
    steps: list[Any] = []
    for age in AGES:
        on = {"on": ["k"], "take": {f"as_of_{age}": "v"}, "max_age": age}
        strict = {"on": ["k"], "take": {f"strict_{age}": "v"}, "max_age": age, "strict": True}
        window = {"on": ["k"], "take": {f"window_{age}": "max(v)"}, "last": age}
        steps += [{"as_of": "t", **on}, {"as_of": "t", **strict}, {"window": "t", **window}]
    columns = {"k": "string", "seen": "timestamp", "known": "timestamp", "v": "int"}
    return {
        "name": "edged",
        "rows": {
            "key": ["k"],
            "time": "at",
            "time_range": ["1900-01-01", "2200-01-01"],
            "columns": {"k": "string", "at": "timestamp not null"},
        },
        "tables": {"t": {"time": "seen", "known_at": "known", "columns": columns}},
        "steps": steps,
    }


def test_every_edge_is_where_it_stands_to_the_microsecond(spark: SparkSession) -> None:
    ages = sorted({0, *AGES.values()})
    shifts = [(age + step, late) for age in ages for step in (-1, 0, 1) for late in (-1, 0, 1)]
    cases = [(f"{base}/{age}/{late}", base, age, late) for base in BASES for age, late in shifts]
    table = [{"k": key, "seen": base - age, "known": base + late, "v": 1} for key, base, age, late in cases]
    rows = [{"k": key, "at": base} for key, base, _, _ in cases]
    world = world_of(edged(), tables={"t": table})

    found = {row["k"]: row for row in transformed(spark, rows, world=world)}

    for key, _, age, late in cases:
        for name, most in AGES.items():
            plain, strict = late <= 0 and 0 <= age <= most, late <= 0 and 0 < age <= most
            seen = [found[key][f"{step}_{name}"] is not None for step in ("as_of", "strict", "window")]
            assert (key, name, seen) == (key, name, [plain, strict, strict])


TIED_COLUMNS = {
    "k": "string", "seen": "timestamp", "known": "timestamp", "flag": "boolean", "text": "string", "raw": "binary",
    "day": "date", "list": "array<double>", "pair": "struct<a:int,b:string>", "x": "double", "amount": "decimal(10,2)",
}  # fmt: skip
TAKEN = ("flag", "text", "raw", "day", "list", "pair", "x", "amount")
OF_ANY_TYPE = (
    *(f"{call}({name})" for call in ("count_distinct", "min", "max") for name in ("flag", "text", "raw", "day", "x")),
    "count(list)", "count(pair)", "count_distinct(amount)", "min(seen)", "max(known) where flag",
)  # fmt: skip
TIED: dict[str, Any] = {
    "name": "tied",
    "rows": {
        "key": ["k"],
        "time": "at",
        "columns": {"k": "string", "at": "timestamp not null"},
    },
    "tables": {"t": {"time": "seen", "known_at": "known", "columns": TIED_COLUMNS}},
    "steps": [
        {"as_of": "t", "on": ["k"], "take": {f"a_{name}": name for name in TAKEN}},
        {"as_of": "t", "on": ["k"], "take": {f"b_{name}": name for name in reversed(TAKEN)}, "max_age": "9s"},
        {"as_of": "t", "on": ["k"], "take": {"c_pair": "pair", "c_x": "x", "c_list": "list"}},
        {"as_of": "t", "on": ["k"], "take": {"d_raw": "raw", "d_day": "day"}, "strict": True},
        {"window": "t", "on": ["k"], "last": "9s", "take": {f"e_{name}": f"last({name})" for name in TAKEN}},
        {"window": "t", "on": ["k"], "last": "9s", "take": {"f_day": "first(day)", "f_raw": "last(raw)"}},
        {"window": "t", "on": ["k"], "last": "9s", "take": {"g_amount": "first(amount) where flag"}},
        {"window": "t", "on": ["k"], "last": "9s", "take": {f"h_{i}": call for i, call in enumerate(OF_ANY_TYPE)}},
    ],
}


def tied_row(dice: Dice) -> Row:
    return {
        "k": dice.pick([f"k{i}" for i in range(40)]),
        "seen": NOON + dice.pick((0, 0, 0, 1)),
        "known": NOON + dice.pick((1, 1, 1, 2)),
        "flag": dice.pick((None, True, False)),
        "text": dice.pick((None, "", "z", "\uffff", "\U0001f600")),
        "raw": dice.pick((None, b"", b"\x7f", b"\x80", b"\x7f\x00")),
        "day": dice.pick((None, date(1969, 12, 31), date(2013, 1, 1))),
        "list": dice.pick((None, [], [None], [1.0], [1.0, 0.5], [NAN])),
        "pair": dice.pick((None, {"a": None, "b": "z"}, {"a": 1, "b": None}, {"a": 1, "b": "b"})),
        "x": dice.pick((None, -0.0, 0.0, NAN, -1.0)),
        "amount": dice.pick((None, Decimal("-0.01"), Decimal("0.01"))),
    }


def test_ties_go_to_the_greatest_columns_in_the_order_that_is_written(spark: SparkSession) -> None:
    dice = Dice(11)
    table = dice.repeated([tied_row(dice) for _ in range(400)])
    rows = [{"k": f"k{i}", "at": NOON + at} for i in range(41) for at in (0, 1, 2)]
    python = {name: (lambda row, name=name: row[name]) for name in TIED_COLUMNS}
    world = world_of(TIED, tables={"t": table}, python=python)

    found = transformed(spark, rows, world=world)

    assert differing(found, expected(rows, world=world), by=["k", "at"]) == []


NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal(9,2)", "decimal(38,38)")
ORDERED = (*NUMBERS, "string", "binary", "boolean", "date", "timestamp", "timestamp_ntz")


def test_each_aggregate_has_the_type_that_is_written_down(spark: SparkSession) -> None:
    columns = {f"c{i}": kind for i, kind in enumerate(ORDERED)}
    take, types = {"all": "count(*)"}, {"all": "bigint"}
    for name, kind in columns.items():
        sums = kind if kind in ("float", "double") else "bigint"
        sums = f"decimal(38,{kind[:-1].split(',')[1]})" if kind.startswith("decimal") else sums
        numeric = {"sum": sums, "mean": "double", "stddev": "double"} if kind in NUMBERS else {}
        counts = dict.fromkeys(("count", "count_distinct"), "bigint")
        for call, given in {**counts, **dict.fromkeys(("min", "max", "first", "last"), kind), **numeric}.items():
            take[f"{call}_{name}"], types[f"{call}_{name}"] = f"{call}({name})", given
    mapping = {**EMPTY, "tables": {"t": {"time": "seen", "columns": {**EMPTY_TABLE, **columns}}}}
    step = {"window": "t", "on": ["k"], "last": "1h", "take": take}
    world = world_of({**mapping, "steps": [step]}, tables={"t": []})

    result = world.wide.transform(frame(spark, [], types_of(world.wide.rows.columns)), frames_of(spark, world))

    assert {name: kind for name, kind in result.dtypes if name in types} == types


EMPTY_TABLE = {"k": "string", "seen": "timestamp", "known": "timestamp", "x": "double", "n": "int"}
CALLS = ("count(*)", "count(x)", "count_distinct(x)", "sum(x)", "mean(x)", "min(x)", "max(x)", "stddev(x)", "first(x)",
         "last(x)", "sum(n)", "mean(n)", "stddev(n)", "min(n)")  # fmt: skip
EMPTY: dict[str, Any] = {
    "name": "nothing_there",
    "rows": {
        "key": ["id"],
        "time": "at",
        "time_range": ["2013-01-01", "2013-01-02"],
        "columns": {"id": "bigint not null", "k": "string", "at": "timestamp not null"},
    },
    "tables": {"t": {"time": "seen", "known_at": "known", "columns": EMPTY_TABLE}},
    "steps": [
        {"window": "t", "on": ["k"], "last": "1h", "take": {f"c{i}": call for i, call in enumerate(CALLS)}},
        {"window": "t", "on": ["k"], "last": "1h", "take": {f"w{i}": f"{c} where n > 1" for i, c in enumerate(CALLS)}},
    ],
}
DAY = 86_400 * SECOND


@pytest.mark.parametrize("rows_in_table", [True, False])
def test_an_empty_window_counts_to_zero_and_has_nothing_else(spark: SparkSession, rows_in_table: bool) -> None:
    there = [
        {"k": "late", "seen": NOON - 1, "known": NOON + 1},
        {"k": "at", "seen": NOON, "known": NOON},
        {"k": "old", "seen": NOON - 3600 * SECOND - 1, "known": NOON},
        {"k": None, "seen": NOON - 1, "known": NOON},
        {"k": "unknown", "seen": NOON - 1, "known": None},
        {"k": "undated", "seen": None, "known": NOON},
        {"k": "out", "seen": NOON + DAY - 1, "known": NOON + DAY - 1},
    ]
    table = [{**row, "x": 1.0, "n": 5} for row in there]
    keys = ("late", "at", "old", None, "unknown", "undated", "missing")
    rows = [{"id": i, "k": key, "at": NOON} for i, key in enumerate(keys)]
    rows += [{"id": 90, "k": "out", "at": NOON + DAY}, {"id": 91, "k": "out", "at": None}]
    world = world_of(EMPTY, tables={"t": table if rows_in_table else []})

    found = transformed(spark, rows, world=world)

    nothing = {f"{side}{i}": 0 if "count" in call else None for side in "cw" for i, call in enumerate(CALLS)}
    assert [{name: row[name] for name in nothing} for row in found] == [nothing] * len(rows)


def test_one_value_and_no_value_that_is_not_null(spark: SparkSession) -> None:
    values = {"one": [(2.5, 7)], "nulls": [(None, None), (None, None)], "cut": [(1.0, 1), (1.0, None)]}
    seen = {"seen": NOON - SECOND, "known": NOON - SECOND}
    table = [{"k": key, **seen, "x": x, "n": n} for key, pairs in values.items() for x, n in pairs]
    rows = [{"id": i, "k": key, "at": NOON} for i, key in enumerate(values)]
    world = world_of(EMPTY, tables={"t": table})

    found = {row["k"]: [row[f"c{i}"] for i in range(len(CALLS))] for row in transformed(spark, rows, world=world)}

    assert found["one"] == [1, 1, 1, 2.5, 2.5, 2.5, 2.5, None, 2.5, 2.5, 7, 7.0, None, 7]
    assert found["nulls"] == [2, 0, 0, *[None] * 11]
    assert found["cut"] == [2, 2, 1, 2.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1, 1.0, None, 1]


def test_a_lookup_knows_no_time(spark: SparkSession) -> None:
    mapping = {**EMPTY, "steps": [{"lookup": "t", "on": ["k"], "take": ["x"], "required": True}]}
    times = {"past": -NOON, "future": NOON + 99 * DAY, "none": None}
    table = [{"k": key, "seen": time, "known": time, "x": 1.0, "n": 1} for key, time in times.items()]
    rows = [{"id": i, "k": key, "at": at} for i, (key, at) in enumerate([*zip(times, [NOON] * 3, strict=True)])]
    rows.append({"id": 9, "k": "past", "at": NOON + 9 * DAY})
    world = world_of(mapping, tables={"t": table})

    found = transformed(spark, rows, world=world)

    assert [(row["x"], row["rejected"]) for row in found] == [(1.0, None)] * 3 + [(1.0, "SCHEMA")]


def test_history_before_the_time_range_is_seen_and_years_before_1970_are_years(spark: SparkSession) -> None:
    start, end = (round(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * SECOND for year in (1950, 1960))
    on = {"on": ["k"]}
    steps = [
        {"as_of": "t", **on, "take": {"latest": "x"}},
        {"as_of": "t", **on, "take": {"young": "x"}, "max_age": "2d"},
        {"window": "t", **on, "last": "3d", "take": {"n": "count(*)", "s": "sum(n)"}},
        {"window": "t", **on, "last": "3650d", "take": {"ever": "count(*)", "oldest": "first(x)"}},
        {"as_of": "t", **on, "take": {"any_age": "x"}, "max_age": "3650d", "strict": True},
    ]
    mapping = {**EMPTY, "rows": {**EMPTY["rows"], "time_range": ["1950-01-01", "1960-01-01"]}, "steps": steps}
    times = [-(2**62), start - 400 * DAY, start - 3 * DAY, start - 2 * DAY, start - 1, start, start + 1, end - 1, end]
    table = [{"k": "a", "seen": time, "known": time, "x": float(i), "n": i} for i, time in enumerate(times)]
    instants = [start - 1, start, start + 1, start + 2 * DAY, start + 5 * DAY, end - 1, end, end + DAY]
    rows = [{"id": i, "k": "a", "at": at} for i, at in enumerate(instants)]
    python = {name: (lambda row, name=name: row[name]) for name in ("x", "n")}
    world = world_of(mapping, tables={"t": table}, python=python)

    found = transformed(spark, rows, world=world)

    assert differing(found, expected(rows, world=world), by=["id"]) == []


@pytest.mark.parametrize("cut", [(NOON, NOON + 6 * SECOND), (NOON + 3 * SECOND, NOON + 3 * SECOND + 1)])
def test_reading_only_what_an_interval_of_rows_can_reach_changes_nothing(
    spark: SparkSession, cut: tuple[int, int]
) -> None:
    dice = Dice(8)
    table = [{"k": dice.pick("ab"), "seen": dice.instant(), "known": dice.instant()} for _ in range(90)]
    table = [{**row, "x": dice.random.random(), "n": i} for i, row in enumerate(table)]
    rows = [{"id": i, "k": dice.pick("ab"), "at": dice.instant()} for i in range(90)]
    rows = [row for row in rows if cut[0] <= row["at"] < cut[1]] + [{"id": 99, "k": "a", "at": cut[0]}]
    steps = [
        {"as_of": "t", "on": ["k"], "take": {"a": "n"}},
        {"as_of": "t", "on": ["k"], "take": {"b": "n"}, "max_age": "2s", "strict": True},
        {"window": "t", "on": ["k"], "last": "3s", "take": {"n_t": "count(*)", "s": "sum(n)", "z": "last(n)"}},
    ]
    world = world_of({**EMPTY, "steps": steps}, tables={"t": table}, python={"n": lambda row: row["n"]})
    bounds = tuple(datetime.fromtimestamp(at // SECOND, tz=UTC).replace(microsecond=at % SECOND) for at in cut)

    given = frame(spark, rows, types_of(world.wide.rows.columns))
    found = collected(transform(world.wide, given, frames_of(spark, world), within=(bounds[0], bounds[1])))

    assert differing(found, expected(rows, world=world), by=["id"]) == []


MAP = "map<string,int>"


def test_maps_are_taken_by_a_lookup_and_have_no_order_for_a_tie(spark: SparkSession) -> None:
    table = spark.sql("select 'a' as k, timestamp_micros(0) as seen, map('x', 1) as m")
    wide = {**EMPTY, "tables": {"t": {"time": "seen", "columns": {"k": "string", "seen": "timestamp", "m": MAP}}}}
    looked_up = WideTable.unpack({**wide, "steps": [{"lookup": "t", "on": ["k"], "take": ["m"]}]})
    rows = frame(spark, [{"id": 1, "k": "a", "at": NOON}], types_of(looked_up.rows.columns))

    found = looked_up.transform(rows, {"t": table})

    assert dict(found.dtypes)["m"] == MAP
    assert found.selectExpr("m['x'] as x").collect()[0]["x"] == 1
    with pytest.raises(ConfigError, match=r"steps\[0\].*maps have none"):
        WideTable.unpack({**wide, "steps": [{"as_of": "t", "on": ["k"], "take": ["m"]}]})
