"""lookup against the oracle, and its two reasons for a rejection."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from wide_cases import FLOATS, KEYS, Dice, expected, few, same, transformed, world_of

MAPPING: dict[str, Any] = {
    "name": "found",
    "rows": {
        "key": ["id"],
        "time": "at",
        "columns": {
            "id": "bigint not null",
            "k": "string",
            "g": "int",
            "r": "double",
            "at": "timestamp not null",
        },
    },
    "tables": {
        "a": {"columns": {"key": "string", "x": "double", "next": "string"}},
        "b": {"columns": {"k": "string", "g": "int", "y": "array<double>"}},
        "c": {"columns": {"r": "double", "s": "string"}},
    },
    "steps": [
        {"lookup": "a", "on": {"k": "key"}, "take": {"x": "x", "next": "next"}},
        {"lookup": "b", "on": ["k", "g"], "take": {"y": "y"}, "required": True},
        {"lookup": "c", "on": {"r": "r"}, "take": ["s"]},
        {"lookup": "a", "on": {"next": "key"}, "take": {"next_x": "x"}},
    ],
}


@few
@given(seed=st.integers(0, 2**32))
def test_every_lookup_agrees_with_the_oracle(spark: SparkSession, seed: int) -> None:
    dice = Dice(seed)
    keys = [None if key is None else f"{case}{key}" for case in range(30) for key in KEYS]
    a = [{"key": dice.pick(keys), "x": dice.pick(FLOATS), "next": dice.pick(keys)} for _ in range(250)]
    b = [{"k": dice.pick(keys), "g": dice.pick((1, 2, None)), "y": dice.pick(([], [-0.0, None], None))} for _ in keys]
    c = [{"r": value, "s": dice.pick((None, "s"))} for value in (0.0, 1.5, float("nan"), None, 3.3, 3.3)]
    rows = [
        {
            "id": i,
            "k": dice.pick(keys),
            "g": dice.pick((1, 2, None)),
            "r": dice.pick(FLOATS),
            "at": dice.instant(),
        }
        for i in range(400)
    ]
    world = world_of(MAPPING, tables={"a": dice.repeated(a), "b": b, "c": c})

    found = transformed(spark, rows, world=world)

    assert {row["rejected"] for row in found} >= {None, "LOOKUP_AMBIGUOUS:a", "LOOKUP_MISS:b"}
    assert listed(found) == listed(expected(rows, world=world))


def listed(rows: list[dict[str, Any]]) -> Any:
    return same([{**row, "y": repr(row["y"])} for row in rows], by=["id"])


def test_two_equal_table_rows_are_ambiguous_and_nothing_is_doubled(spark: SparkSession) -> None:
    twice = [{"key": "k", "x": 1.0, "next": None}] * 2
    row = {"id": 1, "k": "k", "g": 1, "r": None, "at": 0}
    world = world_of(MAPPING, tables={"a": twice, "b": [{"k": "k", "g": 1, "y": None}], "c": []})

    found = transformed(spark, [row], world=world)

    assert [(each["x"], each["rejected"]) for each in found] == [(None, "LOOKUP_AMBIGUOUS:a")]
