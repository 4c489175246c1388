"""Definitions written in Python: what the parts take, and that they are checked like YAML."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from spark_scoring import AsOf, Columns, Lookup, Rows, SparkScoringError, Table, WideTable, Window
from spark_scoring.errors import ConfigError
from spark_scoring.spec.sql import Expression
from spark_scoring.spec.wide import Aggregate, Column, Rule

ROWS = Rows(key=["id"], time="at", columns={"id": "Long not null", "k": "string", "at": "timestamp not null"})
PLANES = Table(name="planes", columns={"k": "string", "seats": "int"})
EVENTS = Table(name="events", time="seen", columns={"k": "string", "seen": "timestamp", "x": "double"})


def made(*steps: Any, **rules: str) -> WideTable:
    return WideTable(name="w", rows=ROWS, tables=[PLANES, EVENTS], steps=steps, rules=rules)


def test_every_way_to_write_a_part_gives_one_form() -> None:
    assert ROWS.columns[0] == Column(name="id", type="bigint", nullable=False)
    assert Lookup(table="t", on="k", take="x") == Lookup(table="t", on={"k": "k"}, take=[("x", "x")])
    assert Rows(key="id", time="at", columns={}) == Rows(key=["id"], time="at", columns={})
    years = Rows(key="id", time="at", columns={}, time_range=["2013-01-01", "2014-01-01T02:00:00+02:00"])
    assert years.time_range == (datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))
    assert AsOf(table="t", on=["k"], take=["x"], max_age="2h").max_age == timedelta(hours=2)
    assert Window(table="t", on=["k"], last="1h", take={"n": "count(*)"}) == Window(
        table="t", on=["k"], last=timedelta(hours=1), take=[("n", Aggregate(function="count"))]
    )
    assert Columns(take={"a": "x + 1"}) == Columns(take=[("a", Expression.of("x+1"))])
    assert Rule(name="r", condition="x > 1").condition == Expression.of("x > 1")


def test_a_definition_in_python_is_the_one_in_a_mapping() -> None:
    wide = made(
        Lookup(table="planes", on=["k"], take=["seats"]),
        Window(table="events", on=["k"], last="6h", take={"m": "mean(x) where x > 0", "n": "count(*)"}),
        Columns({"share": "n / seats", "back": "-seats"}),
        small="seats < 200",
    )
    assert wide == WideTable.unpack(wide.pack())
    assert wide.steps[2].take[1][1].sql != Expression.of("-seats").sql  # the safe form depends on the type
    assert pickle.loads(pickle.dumps(wide)) == replace(wide) == wide


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: made(Columns({"a": "hour(att)"})), "w: steps[0].columns.a: unknown column 'att'. Did you mean 'at'?"),
        (lambda: made(Lookup(table="plane", on="k", take="seats")), "w: steps[0].lookup: unknown table"),
        (lambda: made(AsOf(table="events", on="k", take="y")), "w: steps[0].take.y: unknown column of table events"),
        (lambda: made(Columns({"id": "1"})), "w: steps[0].columns.id"),
        (lambda: made(k="k + 1"), "w: rules.k"),
        (lambda: Window(table="t", on="k", last="1h", take={"n": "cnt(*)"}), "Did you mean 'count(*)'?"),
        (
            lambda: Window(table="t", on="k", last=timedelta(milliseconds=1500), take={}),
            "'0:00:01.500000' is not allowed",
        ),
        (lambda: Window(table="t", on="k", last=timedelta(days=4000), take={}), "at most 3650d"),
        (lambda: AsOf(table="t", on="k", take="x", max_age=timedelta(0)), "as_of t: max_age: '0d' is not allowed"),
        (lambda: AsOf(table="t", on="k", take="x", max_age=-timedelta(hours=1)), "as_of t: max_age: '-1h' is not"),
        (lambda: Window(table="t", on="k", last="1 hour", take={}), "window t: last: "),
        (lambda: Columns({"a": "reflect('java.lang.System', 'exit')"}), "runs Java code"),
        (lambda: Table(name="t", columns={"x": "strng"}), "t.columns.x: "),
        (lambda: Rows(key="id", time="at", columns={}, time_range=("x", "y")), "rows: time_range: expected an instant"),
    ],
)
def test_a_mistake_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(SparkScoringError) as caught:
        make()
    assert message in str(caught.value)


def test_parts_of_another_definition_are_checked_again() -> None:
    whole = made(Columns({"f": "floor(id)"}))
    rows = Rows(key="id", time="at", columns={"id": "double", "at": "timestamp not null"})
    wide = WideTable(name="two", rows=rows, steps=whole.steps)

    assert wide == WideTable.unpack(wide.pack()) and "cast" not in wide.steps[0].take[0][1].sql
    with pytest.raises(ConfigError, match="the name 'f' exists already"):
        WideTable(name="w", rows=rows, steps=(*whole.steps, *whole.steps))
    with pytest.raises(ConfigError, match="unknown column of the rows 'nope'"):
        WideTable(name="w", rows=Rows(key="nope", time="at", columns=rows.columns), steps=whole.steps)


TWICE = [("k", "seats"), ("k", "k")]


@pytest.mark.parametrize(
    "make",
    [
        lambda: made(Lookup(table="planes", on="k", take=TWICE)),
        lambda: made(AsOf(table="events", on=TWICE, take="x")),
        lambda: made(Columns([("a", "1"), ("a", "2")])),
        lambda: made(Window(table="events", on="k", last="1h", take=[("n", "count(*)"), ("n", "count(x)")])),
        lambda: WideTable(name="w", rows=ROWS, tables=[PLANES, PLANES]),
        lambda: WideTable(
            name="w", rows=ROWS, rules=[Rule(name="r", condition="true"), Rule(name="r", condition="k = 'a'")]
        ),
        lambda: WideTable(name="w", rows=Rows(key="id", time="at", columns=[*ROWS.columns, *ROWS.columns])),
    ],
)
def test_a_name_that_stands_twice_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError, match="twice: a name stands for one thing"):
        make()
