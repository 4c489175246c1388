"""window against the oracle: what lies in it, in which order, and every aggregate to the last bit."""

import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Row
from pyspark.sql import SparkSession
from wide_cases import FLOATS, KEYS, NOON, SECOND, Dice, expected, few, same, transformed, world_of

from spark_scoring.spec.wide import WideTable

COLUMNS = {
    "k": "string", "g": "int", "seen": "timestamp", "known": "timestamp", "x": "double", "f": "float",
    "i": "int", "n": "bigint", "d": "decimal(12,2)", "w": "decimal(38,18)", "s": "string", "b": "boolean",
}  # fmt: skip

FIRST_LAST = ("first", "last")
EVERY = {
    "c": "count(*)", "c_x": "count(x)", "c_w": "count(*) where x > 0.5", "u_x": "count_distinct(x)",
    "u_s": "count_distinct(s)", "u_w": "count_distinct(w)", "s_x": "sum(x)", "s_f": "sum(f)", "s_i": "sum(i)",
    "s_n": "sum(n)", "s_d": "sum(d)", "s_w": "sum(w)", "m_x": "mean(x)", "m_f": "mean(f)", "m_i": "mean(i)",
    "m_n": "mean(n)", "m_d": "mean(d)", "m_w": "mean(w)", "l_x": "min(x)", "h_x": "max(x)", "l_f": "min(f)",
    "h_s": "max(s)", "l_b": "min(b)", "h_w": "max(w)", "t_x": "stddev(x)", "t_f": "stddev(f)",
    "t_n": "stddev(n)", "t_d": "stddev(d)", "f_x": "first(x)", "z_x": "last(x)", "f_s": "first(s)",
    "z_n": "last(n)", "z_f": "last(f)",
    "s_w_x": "sum(x) where b", "z_w_x": "last(x) where x > 0.5", "s_2": "sum(x * 2 + 1) where n > 1",
    "f_seen": "first(seen)",
}  # fmt: skip

MAPPING: dict[str, Any] = {
    "name": "recent",
    "rows": {
        "key": ["id"],
        "time": "at",
        "columns": {"id": "bigint not null", "k": "string", "g": "int", "at": "timestamp not null"},
    },
    "tables": {
        "plain": {"time": "seen", "columns": COLUMNS},
        "late": {"time": "seen", "known_at": "known", "columns": COLUMNS},
    },
    "steps": [
        {
            "window": "plain",
            "on": ["k"],
            "last": "5s",
            "take": {f"p_{new}": call for new, call in EVERY.items()},
        },
        {
            "window": "late",
            "on": {"k": "k", "g": "g"},
            "last": "3s",
            "take": {"q_s": "sum(x)", "q_z": "last(x)"},
        },
        {"window": "late", "on": ["k"], "last": "1s", "take": {"r_c": "count(*)", "r_f": "first(f)"}},
        {"window": "late", "on": ["k"], "last": "3650d", "take": {"t_s": "sum(x)", "t_m": "max(seen)"}},
    ],
}


def greater(name: str, bound: float) -> Any:
    """`name > bound` in three-valued logic, NaN greatest."""
    return lambda row: None if row[name] is None else row[name] != row[name] or row[name] > bound


PYTHON = {
    **{name: (lambda row, name=name: row[name]) for name in COLUMNS},
    "x > 0.5": greater("x", 0.5),
    "n > 1": greater("n", 1),
    "x * 2 + 1": lambda row: None if row["x"] is None else row["x"] * 2 + 1,
}


def single(value: float | None) -> float | None:
    """The nearest single-precision number."""
    return None if value is None else struct.unpack(">f", struct.pack(">f", value))[0]


def dice_row(dice: Dice) -> Row:
    time = dice.maybe_instant()
    small = (None, 0, 1, 2, -3, 2**31 - 1)
    return {
        "seen": time,
        "known": dice.later(time),
        "g": dice.pick((1, 2, None)),
        "x": dice.pick(FLOATS) if dice.random.random() < 0.5 else dice.random.uniform(-10, 10),
        "f": single(dice.pick((None, -0.0, 0.0, 0.1, 0.7, float("nan"), 1e10))),
        "i": dice.pick(small),
        "n": dice.pick((*small, 2**63 - 1, -(2**63), 2**62)),
        "d": dice.pick((None, Decimal("0.01"), Decimal("-9999999999.99"), Decimal("12.50"))),
        "w": dice.pick(
            (
                None,
                Decimal("0.000000000000000001"),
                WIDEST,
                WIDEST.copy_negate(),
                Decimal("-1.500000000000000000"),
            )
        ),
        "s": dice.pick((None, "", "a", "ü", "日本", "e\u0301")),
        "b": dice.pick((None, True, False)),
    }


WIDEST = Decimal("99999999999999999999.999999999999999999")


def dice_tables(dice: Dice, *, cases: int) -> dict[str, list[Row]]:
    tables: dict[str, list[Row]] = {"plain": [], "late": []}
    for table in tables.values():
        for case in range(cases):
            keys = [None if key is None else f"{case}{key}" for key in KEYS]
            table += [{"k": dice.pick(keys), **dice_row(dice)} for _ in range(40)]
    return {name: dice.repeated(table) for name, table in tables.items()}


def dice_rows(dice: Dice, *, cases: int) -> list[Row]:
    keys = [None if key is None else f"{case}{key}" for case in range(cases) for key in KEYS]
    rows = [{"k": dice.pick(keys), "g": dice.pick((1, 2, None)), "at": dice.instant()} for _ in range(8 * cases)]
    return [{"id": i, **row} for i, row in enumerate(rows)]


@few
@given(seed=st.integers(0, 2**32))
def test_every_window_agrees_with_the_oracle(spark: SparkSession, seed: int) -> None:
    dice = Dice(seed)
    world = world_of(MAPPING, tables=dice_tables(dice, cases=15), python=PYTHON)
    rows = dice_rows(dice, cases=15)

    found = transformed(spark, rows, world=world)

    assert same(found, by=["id"]) == same(expected(rows, world=world), by=["id"])


def test_zeros_that_tie_give_plus_zero_and_an_untied_one_keeps_its_sign(spark: SparkSession) -> None:
    names = ("g", "known", "i", "n", "d", "w", "s", "b")
    row: Row = {**dict.fromkeys(names), "seen": NOON}
    signs = [{"x": -0.0, "f": 0.0}, {"x": 0.0, "f": -0.0}]
    table = [{**row, **sign, "k": key} for key, order in {"a": 1, "b": -1}.items() for sign in signs[::order]]
    table.append({**row, "k": "c", "x": -0.0, "f": -0.0})
    world = world_of(MAPPING, tables={"plain": table, "late": []}, python=PYTHON)
    rows = [{"id": i, "k": key, "g": 1, "at": NOON + SECOND} for i, key in enumerate("abc")]

    found = transformed(spark, rows, world=world)

    zeros = {row["k"]: {str(row[f"p_{new}"]) for new in ("f_x", "z_x", "z_f", "l_x", "h_x")} for row in found}
    assert zeros == {"a": {"0.0"}, "b": {"0.0"}, "c": {"-0.0"}}
    assert same(found, by=["id"]) == same(expected(rows, world=world), by=["id"])


def test_zeros_inside_of_arrays_and_structs_that_tie_are_plus_zeros(spark: SparkSession) -> None:
    columns = {"k": "string", "t": "timestamp", "a": "array<double>", "s": "struct<z:double>"}
    wide = WideTable.unpack(
        {
            "name": "nested",
            "rows": {"key": ["k"], "time": "at", "columns": {"k": "string", "at": "timestamp not null"}},
            "tables": {"e": {"time": "t", "columns": columns}},
            "steps": [
                {
                    "window": "e",
                    "on": ["k"],
                    "last": "2h",
                    "take": {f"{c}_{f}": f"{f}({c})" for c in "as" for f in FIRST_LAST},
                },
                {"as_of": "e", "on": ["k"], "take": {"a": "a"}},
            ],
        }
    )
    rows = spark.sql("select 'a' as k, timestamp'2013-09-01 10:00:00' as at")
    time = "timestamp'2013-09-01 09:00:00' as t"
    table = spark.sql(
        f"select 'a' as k, {time}, array(z) as a, named_struct('z', z) as s from values (-0.0D), (0.0D) as v(z)"
    )
    assert {str(list(cell)) for cell in wide.transform(rows, {"e": table}).first()[2:-1]} == {"[0.0]"}


def exact(kind: str, calls: dict[str, str]) -> dict[str, Any]:
    """A world with one window over one column `v`."""
    return {
        "name": "one",
        "rows": {"key": ["k"], "time": "at", "columns": {"k": "string", "at": "timestamp not null"}},
        "tables": {"t": {"time": "seen", "columns": {"k": "string", "seen": "timestamp", "v": kind}}},
        "steps": [{"window": "t", "on": ["k"], "last": "9s", "take": calls}],
    }


def one_window(spark: SparkSession, kind: str, calls: dict[str, str], *values: Any) -> Row:
    """The aggregates over the values, one microsecond after the other."""
    table = [{"k": "a", "seen": NOON + i, "v": value} for i, value in enumerate(values)]
    world = world_of(exact(kind, calls), tables={"t": table}, python={"v": lambda row: row["v"]})
    rows = [{"k": "a", "at": NOON + SECOND}]
    found = transformed(spark, rows, world=world)
    assert same(found, by=["k"]) == same(expected(rows, world=world), by=["k"])
    return found[0]


def test_the_true_sum_decides_an_overflow_not_a_running_total(spark: SparkSession) -> None:
    most = 2**63 - 1

    found = one_window(spark, "bigint", {"s": "sum(v)", "m": "mean(v)"}, most, most, -most, -most, 5)

    assert (found["s"], found["m"]) == (5, 1.0)


@pytest.mark.parametrize(
    "kind", ["decimal(38,0)", "decimal(38,18)", "decimal(38,38)", "decimal(28,3)", "decimal(27,27)"]
)
def test_decimal_sums_are_exact_up_to_38_digits(spark: SparkSession, kind: str) -> None:
    precision, scale = map(int, kind[8:-1].split(","))
    most = Decimal((0, (9,) * precision, -scale))
    least, debt = Decimal((0, (1,), -scale)), most.copy_negate()

    found = one_window(spark, kind, {"s": "sum(v)", "m": "mean(v)"}, most, most, least, debt, debt, least, debt, most)

    assert found["s"] == 2 * least


def test_a_sum_that_fits_no_type_is_null(spark: SparkSession) -> None:
    whole = one_window(spark, "bigint", {"s": "sum(v)", "m": "mean(v)"}, 2**63 - 1, 1)
    wide = one_window(spark, "decimal(38,2)", {"s": "sum(v)", "m": "mean(v)"}, *[Decimal("9" * 36)] * 2)

    assert (whole["s"], whole["m"], wide["s"], wide["m"]) == (None, 2.0**62, None, 1e36)
