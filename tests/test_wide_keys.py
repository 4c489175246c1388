"""Keys of every type, and keys that earlier steps add."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from oracle import Row, World
from pyspark.sql import SparkSession
from wide_cases import NOON, SECOND, Dice, Keeping, differing, expected, transformed, world_of

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
# keys of these are left to joins
NESTED = ("array<double>", "struct<a:double,b:string>")


def keyed_world(types: Sequence[str], steps: list[dict[str, Any]]) -> World:
    """Rows and a table that hold a key of each type, the usual one and all that differ from it in one column."""
    table = dict(zip(names("t", types), types, strict=True))
    mapping: dict[str, Any] = {
        "name": "keyed",
        "rows": {
            "key": ["id"],
            "time": "at",
            "columns": {
                "id": "bigint not null", "at": "timestamp not null", **dict(zip(names("k", types), types, strict=True)),
            },
        },
        "tables": {"t": {"time": "seen", "columns": {"seen": "timestamp", "v": "int", **table}}},
        "steps": steps,
    }  # fmt: skip
    rows = [{"seen": NOON + i % 3, "v": i, **key} for i, key in enumerate(keys_of(names("t", types), types))]
    return world_of(mapping, tables={"t": rows}, python={"v": lambda row: row["v"]})


def names(letter: str, types: Sequence[str]) -> list[str]:
    return [f"{letter}{i}" for i in range(len(types))]


def keys_of(columns: Sequence[str], types: Sequence[str]) -> list[Row]:
    usual = {name: KEYS[kind][0] for name, kind in zip(columns, types, strict=True)}
    others = [{**usual, name: value} for name, kind in zip(columns, types, strict=True) for value in KEYS[kind][1:]]
    return [usual, *others]


def rows_of(types: Sequence[str]) -> list[Row]:
    return [{"id": i, "at": NOON + SECOND, **key} for i, key in enumerate(keys_of(names("k", types), types))]


@pytest.fixture
def keeping() -> Iterator[Keeping]:
    with closing(Keeping()) as keeper:
        yield keeper


@pytest.mark.parametrize("kept", [False, True])
def test_a_key_of_any_type_is_found_by_an_equal_one_and_by_no_other(
    spark: SparkSession, keeping: Keeping, kept: bool
) -> None:
    types = [kind for kind in KEYS if not kept or kind not in NESTED]
    on = dict(zip(names("k", types), names("t", types), strict=True))
    steps = [
        {"lookup": "t", "on": on, "take": {"found": "v"}},
        {"as_of": "t", "on": on, "take": {"latest": "v"}},
        {"window": "t", "on": on, "last": "3s", "take": {"n": "count(*)", "most": "max(v)"}},
    ]
    world, rows = keyed_world(types, steps), rows_of(types)

    found = transformed(spark, rows, world=world, keeper=keeping if kept else None)

    assert differing(found, expected(rows, world=world), by=["id"]) == []
    # Twice there are: the zeros of the floats, and of the nested types.
    twice = 2 * len([kind for kind in types if "double" in kind or kind == "float"])
    assert Counter(row["n"] for row in found) == {0: len(types), 2: twice, 1: len(rows) - len(types) - twice}
    assert [row["rejected"] for row in found if row["n"] == 2] == ["LOOKUP_AMBIGUOUS:t"] * twice
    # the lookup has one index, the two others share one
    assert len(keeping.made) == (2 if kept else 0)


@pytest.mark.parametrize("kept", [False, True])
def test_a_key_of_one_column_of_any_type_too(spark: SparkSession, keeping: Keeping, kept: bool) -> None:
    types = [kind for kind in KEYS if kind not in NESTED]
    steps = [
        {"window": "t", "on": {f"k{i}": f"t{i}"}, "last": "3s", "take": {f"n{i}": "count(*)", f"sum{i}": "sum(v)"}}
        for i in range(len(types))
    ]
    world, rows = keyed_world(types, steps), rows_of(types)

    found = transformed(spark, rows, world=world, keeper=keeping if kept else None)

    assert differing(found, expected(rows, world=world), by=["id"]) == []
    assert {row[f"n{i}"] for row in found for i in range(len(types))} > {0, 1, 2}
    assert len(keeping.made) == (len(types) if kept else 0)


def test_keys_that_cannot_be_kept_are_joined(spark: SparkSession, keeping: Keeping) -> None:
    types = list(KEYS)
    on = dict(zip(names("k", types), names("t", types), strict=True))
    world, rows = keyed_world(types, [{"as_of": "t", "on": on, "take": {"latest": "v"}}]), rows_of(types)

    found = transformed(spark, rows, world=world, keeper=keeping)

    assert differing(found, expected(rows, world=world), by=["id"]) == []
    assert not keeping.made


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


@pytest.mark.parametrize("kept", [False, True])
def test_a_step_is_keyed_by_what_earlier_steps_add(spark: SparkSession, keeping: Keeping, kept: bool) -> None:
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

    found = transformed(spark, rows, world=world, keeper=keeping if kept else None)

    assert {row["again"] is None for row in found} == {True, False}
    assert differing(found, expected(rows, world=world), by=["id"]) == []
