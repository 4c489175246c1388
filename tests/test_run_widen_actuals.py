"""Actuals of a training set: never one that leaks, and none that does not fit."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_scoring.errors import ConfigError, RunError, SparkScoringError
from tests.training_sets import ACTUALS, Truth, column_of, landing, made, plans, rows_of, whole, world_with
from tests.world import DAY, flights


def test_an_actual_is_the_first_that_becomes_known_after_the_row_and_soon_enough(
    spark: SparkSession, tmp_path: Path
) -> None:
    moment, late = timedelta(microseconds=1), timedelta(days=1)
    at = {flight["id"]: flight["at"] for flight in flights()}
    truth: Truth = [
        landing(0, hours=-5, minutes=-1.0),
        ("f001", at["f001"], -1.0),
        ("f002", at["f002"] + moment, 2.0),
        ("f004", at["f004"] + late, 4.0),
        ("f005", at["f005"] + late + moment, -1.0),
        landing(6, hours=3, minutes=-1.0),
        landing(6, hours=2, minutes=6.0),
        landing(6, hours=-2, minutes=-1.0),
        landing(7, hours=2, minutes=None),
        landing(7, hours=3, minutes=-1.0),
        landing(8, hours=2, minutes=None),
        landing(8, hours=2, minutes=-0.0),
        landing(8, hours=2, minutes=0.0),
        landing(9, hours=2, minutes=9.0),
        landing(9, hours=2, minutes=float("nan")),
        ("f010", None, -1.0),
        ("nobody", DAY + timedelta(hours=5), -1.0),
    ]
    world = world_with(spark, tmp_path, truth)
    done = made(world, "delay")

    found = column_of(world, "delay")
    assert {key: str(value) for key, value in found.items()} == {
        "f002": "2.0", "f004": "4.0", "f006": "6.0", "f008": "0.0", "f009": "nan",
    }  # fmt: skip
    assert (done.rows, done.without_actual) == (56, (("delay", 51),))
    assert [{name: row[name] for name in row if name != "delay"} for row in rows_of(world)] == whole(world)


def test_one_key_with_many_rows_and_many_actuals_is_a_plain_search(spark: SparkSession, tmp_path: Path) -> None:
    known = [DAY + timedelta(minutes=m) for m in (-40, 0, 47, 95, 300, 301, 1000, 1001, 2000, 2400, 4000)]
    truth = [
        (origin, time, float(i)) for i, time in enumerate(known) for origin in ("EWR", "JFK") if i % 3 or origin < "F"
    ]
    world = world_with(spark, tmp_path, truth)
    delay = replace(world.job.actuals[0], on=(("origin", "id"),), matures_after=timedelta(hours=7))
    world = replace(world, job=replace(world.job, actuals=(delay,)))
    made(world, "delay")

    def search(row: Mapping[str, Any]) -> float | None:
        inside = [
            (time, value)
            for origin, time, value in truth
            if origin == row["origin"] and row["at"] < time <= row["at"] + timedelta(hours=7)
        ]
        return min(inside)[1] if inside else None

    in_utc = [{**row, "at": row["at"].astimezone(UTC)} for row in rows_of(world)]
    assert [row["delay"] for row in in_utc] == [search(row) for row in in_utc]
    assert 0 < len(column_of(world, "delay")) < 56


def test_rows_too_young_and_rows_with_two_actuals_are_left_out_and_counted(spark: SparkSession, tmp_path: Path) -> None:
    truth = [landing(0, hours=1, minutes=5.0), landing(1, hours=1), landing(1, hours=2), landing(59, hours=1)]
    world = world_with(spark, tmp_path, truth)
    clock = DAY + timedelta(days=2)
    done = made(world, "delay", "once", clock=clock)

    old = [row for row in whole(world) if row["at"].astimezone(UTC) + timedelta(days=1) <= clock]
    rows = [row["id"] for row in rows_of(world)]
    assert rows == [row["id"] for row in old if row["id"] != "f001"]
    assert (done.read, done.rows, sum(count for _, count in done.rejected)) == (60, len(rows), 4)
    assert (done.immature, done.ambiguous) == (56 - len(old), 1)
    assert done.without_actual == (("delay", len(rows) - 1), ("once", len(rows) - 1))
    # built a year later: the same rows have the same actuals
    made(world, "delay", "once", out="later")
    later = {row["id"]: row for row in rows_of(world, "later")}
    assert [later[row["id"]] for row in rows_of(world)] == rows_of(world)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"on": ["idd"]}, ConfigError, "actuals.delay.on: unknown column of the wide table 'idd'. Did you mean 'id'?"),
        ({"on": {"id": "ident"}}, ConfigError, "actuals.delay.on: unknown column of the table of delay 'ident'."),
        ({"on": {"miles": "id"}}, ConfigError, "actuals.delay.on: 'miles' is double, the table's 'id' is string."),
        ({"column": "minuets"}, ConfigError, "'minuets'. Did you mean 'minutes'?"),
        ({"time": "minutes"}, ConfigError, "actuals.delay.time: 'minutes (double)' is not allowed here."),
        ({"delta": "nowhere"}, RunError, "table 'actuals.delay': not found at nowhere"),
    ],
)
def test_an_actual_that_does_not_fit_is_refused_before_a_row_is_read(
    changes: Mapping[str, Any], kind: type[SparkScoringError], message: str, spark: SparkSession, tmp_path: Path
) -> None:
    place = {"delta": str(tmp_path / "truth")}
    world = world_with(spark, tmp_path, actuals={"delay": {**place, **ACTUALS["delay"], **changes}})
    with pytest.raises(kind) as caught:
        made(world, "delay")
    assert message in str(caught.value)
    assert not (tmp_path / "training").exists() and not (tmp_path / "state").exists()


def test_an_actual_never_takes_the_name_of_a_feature(spark: SparkSession, tmp_path: Path) -> None:
    actual = {"delta": str(tmp_path / "truth"), **ACTUALS["delay"]}
    world = world_with(spark, tmp_path, actuals={"Seats": actual, "MILES": actual})
    for name in ("seats", "miles"):
        with pytest.raises(ConfigError, match=f"(?i)the name '{name}' exists already: a column of the wide"):
            made(world, name)
    with pytest.raises(ConfigError, match=r"--with: unknown actual of job.yaml 'seat'\. Did you mean 'Seats'\?"):
        made(world, "seat")


def test_actuals_in_a_text_file(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("id,landed,minutes\nf000,2013-09-01 01:00:00Z,7.5\nf001,soon,1\n")
    columns = {"id": "string", "landed": "timestamp", "minutes": "double"}
    place = {"csv": str(tmp_path / "truth.csv"), "pinned": False, "columns": columns}
    world = world_with(spark, tmp_path, actuals={"delay": {**place, **ACTUALS["delay"]}})
    done = made(world, "delay")
    assert (column_of(world, "delay"), done.without_actual) == ({"f000": 7.5}, (("delay", 55),))
    assert plans(world)[0].tables["actuals.delay"] is None
