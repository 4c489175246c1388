"""Keys of every type, and keys that earlier steps add."""

from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from oracle import Row
from pyspark.sql import SparkSession
from wide_cases import NOON, SECOND, Dice, differing, expected, transformed, world_of

NAN = float("nan")

# The first value of each type is the usual one; every case differs from it in one column.
KEYS: dict[str, tuple[Any, ...]] = {
    "boolean": (True, False, None),
    "tinyint": (1, -128, None),
    "smallint": (1, -(2**15), None),
    "int": (1, 2**31 - 1, None),
    "bigint": (1, -(2**63), 2**63 - 1, None),
    "float": (1.5, -0.0, 0.0, NAN, None),
    "double": (1.5, -0.0, 0.0, NAN, float("inf"), 5e-324, None),
    "decimal(38,18)": (Decimal("1.5"), Decimal("-99999999999999999999.999999999999999999"), None),
    "string": ("a", "A", "a ", "", "e\u0301", "\u00e9", "日本", "\U0001f600", None),
    "binary": (b"a", b"", b"\x00", b"\xff", None),
    "date": (date(2013, 1, 1), date(1900, 1, 1), None),
    "timestamp": (NOON, NOON + 1, -NOON, None),
    "timestamp_ntz": (datetime(2013, 3, 10, 2, 30), datetime(2013, 3, 10, 2, 30, 0, 1), None),
    "array<double>": ([1.5], [], [0.0], [-0.0], [1.5, None], None),
    "struct<a:double,b:string>": (
        {"a": 0.0, "b": "x"}, {"a": -0.0, "b": "x"}, {"a": NAN, "b": "x"}, {"a": None, "b": "x"}, None,
    ),
}  # fmt: skip
ON = {f"k{i}": f"t{i}" for i in range(len(KEYS))}
KEYED: dict[str, Any] = {
    "name": "keyed",
    "rows": {
        "key": ["id"],
        "time": "at",
        "columns": {"id": "bigint not null", "at": "timestamp not null", **dict(zip(ON, KEYS, strict=True))},
    },
    "tables": {
        "t": {"time": "seen", "columns": {"seen": "timestamp", "v": "int", **dict(zip(ON.values(), KEYS, strict=True))}}
    },
    "steps": [
        {"lookup": "t", "on": ON, "take": {"found": "v"}},
        {"as_of": "t", "on": ON, "take": {"latest": "v"}},
        {"window": "t", "on": ON, "last": "3s", "take": {"n": "count(*)", "most": "max(v)"}},
    ],
}


def keys_of_every_type(names: Any) -> list[Row]:
    usual = {name: values[0] for name, values in zip(names, KEYS.values(), strict=True)}
    others = [{**usual, name: value} for name, values in zip(names, KEYS.values(), strict=True) for value in values[1:]]
    return [usual, *others]


def test_a_key_of_any_type_is_found_by_an_equal_one_and_by_no_other(spark: SparkSession) -> None:
    table = [{"seen": NOON + i % 3, "v": i, **key} for i, key in enumerate(keys_of_every_type(ON.values()))]
    rows = [{"id": i, "at": NOON + SECOND, **key} for i, key in enumerate(keys_of_every_type(ON))]
    world = world_of(KEYED, tables={"t": table}, python={"v": lambda row: row["v"]})

    found = transformed(spark, rows, world=world)

    assert differing(found, expected(rows, world=world), by=["id"]) == []
    # Of eight rows the key is there twice: the zeros of four types.
    assert Counter(row["n"] for row in found) == {0: len(KEYS), 2: 8, 1: len(rows) - len(KEYS) - 8}
    assert [row["rejected"] for row in found if row["n"] == 2] == ["LOOKUP_AMBIGUOUS:t"] * 8


CHAIN: dict[str, Any] = {
    "name": "chain",
    "rows": {
        "key": ["id"],
        "time": "at",
        "columns": {"id": "bigint not null", "k": "string", "at": "timestamp not null"},
    },
    "tables": {
        "t": {"time": "seen", "columns": {"k": "string", "next": "string", "n": "bigint", "seen": "timestamp"}},
        "names": {"columns": {"n": "bigint", "double_name": "string", "k": "string"}},
    },
    "steps": [
        {"columns": {"upper_k": "upper(k)"}},
        {"as_of": "t", "on": {"upper_k": "k"}, "take": {"second": "next"}},
        {"window": "t", "on": {"second": "k"}, "last": "5s", "take": {"many": "count(*)", "third": "last(next)"}},
        {"lookup": "names", "on": {"many": "n", "third": "k"}, "take": ["double_name"]},
        {"columns": {"both": "concat(double_name, k)", "again": "upper(both)"}},
        {"window": "t", "on": {"third": "k", "many": "n"}, "last": "9s", "take": {"least": "min(n)"}},
        {"as_of": "t", "on": {"second": "k"}, "take": {"fifth": "next"}, "strict": True},
    ],
}


def test_a_step_is_keyed_by_what_earlier_steps_add(spark: SparkSession) -> None:
    dice = Dice(3)
    names = ("A", "B", "C", "D", None)
    table = [
        {"k": dice.pick(names), "next": dice.pick(names), "n": dice.pick((1, 2, 3)), "seen": dice.instant()}
        for _ in range(40)
    ]
    named = [{"n": n, "double_name": f"{n}{name}", "k": name} for n in range(9) for name in names]
    rows = [{"id": i, "k": dice.pick(("a", "b", "c", "d", None)), "at": dice.instant()} for i in range(80)]
    python = {
        **{name: (lambda row, name=name: row[name]) for name in ("n", "next")},
        "upper(k)": lambda row: row["k"] and row["k"].upper(),
        "concat(double_name, k)": lambda row: row["double_name"] and row["double_name"] + row["k"],
        "upper(both)": lambda row: row["both"] and row["both"].upper(),
    }
    world = world_of(CHAIN, tables={"t": table, "names": named}, python=python)

    found = transformed(spark, rows, world=world)

    assert {row["again"] is None for row in found} == {True, False}
    assert differing(found, expected(rows, world=world), by=["id"]) == []
