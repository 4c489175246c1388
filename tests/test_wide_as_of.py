"""as_of against the oracle."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from oracle import Row
from pyspark.sql import SparkSession
from wide_cases import FLOATS, KEYS, NOON, SECOND, Dice, expected, few, same, transformed, world_of

MAPPING: dict[str, Any] = {
    "name": "nearest",
    "rows": {
        "key": ["id"],
        "time": "at",
        "columns": {"id": "bigint not null", "k": "string", "g": "int", "at": "timestamp not null"},
    },
    "tables": {
        "plain": {
            "time": "seen",
            "columns": {
                "key": "string",
                "g": "int",
                "seen": "timestamp",
                "x": "double",
                "y": "double",
                "s": "string",
            },
        },
        "late": {
            "time": "seen",
            "known_at": "known",
            "columns": {
                "k": "string",
                "seen": "timestamp",
                "known": "timestamp",
                "x": "double",
                "n": "bigint",
            },
        },
    },
    "steps": [
        {"as_of": "plain", "on": {"k": "key"}, "take": {"a_x": "x", "a_y": "y", "a_s": "s"}},
        {"as_of": "plain", "on": {"k": "key"}, "take": {"b_y": "y", "b_x": "x"}, "max_age": "3s"},
        {
            "as_of": "plain",
            "on": {"k": "key", "g": "g"},
            "take": {"c_x": "x"},
            "max_age": "2s",
            "strict": True,
        },
        {"as_of": "plain", "on": {"k": "key"}, "take": {"d_s": "s", "d_g": "g"}, "strict": True},
        {"as_of": "late", "on": ["k"], "take": {"e_x": "x", "e_n": "n"}},
        {"as_of": "late", "on": ["k"], "take": {"f_n": "n", "f_x": "x"}, "max_age": "3s"},
        {"as_of": "late", "on": ["k"], "take": {"g_n": "n"}, "max_age": "1s", "strict": True},
        {"as_of": "plain", "on": {"a_s": "key"}, "take": {"h_x": "x"}, "max_age": "3650d"},
    ],
}


def dice_rows(dice: Dice, *, cases: int) -> list[Row]:
    keys = [f"{case}{key}" if key is not None else None for case in range(cases) for key in KEYS]
    rows = [{"k": dice.pick(keys), "g": dice.pick((1, 2, None)), "at": dice.instant()} for _ in range(8 * cases)]
    return [{"id": i, **row} for i, row in enumerate(rows)]


def dice_tables(dice: Dice, *, cases: int) -> dict[str, list[Row]]:
    plain, late = [], []
    for case in range(cases):
        for _ in range(60):
            key, time = dice.pick(KEYS), dice.maybe_instant()
            key = None if key is None else f"{case}{key}"
            values = {"x": dice.pick(FLOATS), "y": dice.pick((0.0, -0.0, 1.0))}
            names = {"g": dice.pick((1, 2, None)), "s": dice.pick((key, "ß", "z", None))}
            plain.append({"key": key, "seen": time, **names, **values})
            numbers = {"x": dice.pick(FLOATS), "n": dice.pick((None, 1, 2))}
            late.append({"k": key, "seen": time, "known": dice.later(time), **numbers})
    return {"plain": dice.repeated(plain), "late": dice.repeated(late)}


@few
@given(seed=st.integers(0, 2**32))
def test_every_as_of_agrees_with_the_oracle(spark: SparkSession, seed: int) -> None:
    dice = Dice(seed)
    world = world_of(MAPPING, tables=dice_tables(dice, cases=12))
    rows = dice_rows(dice, cases=12)

    found = transformed(spark, rows, world=world)

    assert same(found, by=["id"]) == same(expected(rows, world=world), by=["id"])


def test_zeros_that_tie_give_plus_zero_and_an_untied_one_keeps_its_sign(spark: SparkSession) -> None:
    row = {"g": 1, "seen": NOON, "s": "s"}
    signs = [{"x": -0.0, "y": 0.0}, {"x": 0.0, "y": -0.0}]
    table = [{**row, **sign, "key": key} for key, order in {"a": 1, "b": -1}.items() for sign in signs[::order]]
    table.append({**row, "key": "c", "x": -0.0, "y": -0.0})
    world = world_of(MAPPING, tables={"plain": table, "late": []})
    rows = [{"id": i, "k": key, "g": 1, "at": NOON + SECOND} for i, key in enumerate("abc")]

    found = transformed(spark, rows, world=world)

    zeros = {row["k"]: (str(row["a_x"]), str(row["a_y"])) for row in found}
    assert zeros == {"a": ("0.0", "0.0"), "b": ("0.0", "0.0"), "c": ("-0.0", "-0.0")}
    assert same(found, by=["id"]) == same(expected(rows, world=world), by=["id"])
