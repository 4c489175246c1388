"""The laws of the wide table: nothing but a row's own content and its instant decides its features."""

import random
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pytest
from oracle import Row, World
from pyspark.sql import DataFrame, SparkSession
from wide_cases import SECOND, Dice, Keeping, collected, expected, frame, frames_of, same, transformed, types_of
from wide_world import dice_rows, dice_world, later_rows, sliced

from spark_scoring.wide import transform

SEEDS = (1,)


@dataclass(frozen=True, kw_only=True)
class Known:
    """A world, its rows, and what `transform` makes of them all at once."""

    world: World
    rows: list[Row]
    whole: Any
    dice: Dice


def by_content(rows: Sequence[Row]) -> Any:
    return same(rows, by=["id", "k", "tail", "at"])


@pytest.fixture(scope="module", params=SEEDS)
def known(request: pytest.FixtureRequest, spark_session: SparkSession) -> Iterator[Known]:
    dice = Dice(request.param)
    world, rows = dice_world(dice), dice_rows(dice)
    yield Known(world=world, rows=rows, whole=by_content(transformed(spark_session, rows, world=world)), dice=dice)


def rows_frame(spark: SparkSession, known: Known, rows: Sequence[Row]) -> DataFrame:
    return frame(spark, rows, types_of(known.world.wide.rows.columns))


def test_everything_agrees_with_the_oracle_one_row_for_each_row(known: Known) -> None:
    assert known.whole == by_content(expected(known.rows, world=known.world))


def test_indexes_that_are_kept_change_nothing(spark: SparkSession, known: Known) -> None:
    with closing(Keeping()) as keeper:
        first, second = (transformed(spark, known.rows, world=known.world, keeper=keeper) for _ in range(2))
    assert by_content(first) == by_content(second) == known.whole


def test_cut_the_rows_in_any_way_and_nothing_changes(spark: SparkSession, known: Known) -> None:
    tables = frames_of(spark, known.world)
    parts: list[list[Row]] = [[], [], []]
    for row in known.rows:
        parts[known.dice.random.randrange(3)].append(row)

    results = [known.world.wide.transform(rows_frame(spark, known, part), tables) for part in parts]

    assert by_content(collected(reduce(DataFrame.unionByName, results))) == known.whole


def test_order_of_rows_files_partitions_and_columns_changes_nothing(spark: SparkSession, known: Known) -> None:
    def mixed(given: DataFrame) -> DataFrame:
        names = random.Random(3).sample(given.columns, len(given.columns))
        return given.orderBy(*names).select(*names).repartition(5)

    tables = {name: mixed(table) for name, table in frames_of(spark, known.world).items()}
    result = known.world.wide.transform(mixed(rows_frame(spark, known, known.rows)), tables)

    assert by_content([{name: row[name] for name in known.whole[0]} for row in collected(result)]) == known.whole


@pytest.mark.parametrize("partitions", [1, 7])
def test_the_number_of_shuffle_partitions_changes_nothing(spark: SparkSession, known: Known, partitions: int) -> None:
    spark.conf.set("spark.sql.shuffle.partitions", partitions)
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    try:
        assert by_content(transformed(spark, known.rows, world=known.world)) == known.whole
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", 2)
        spark.conf.unset("spark.sql.adaptive.enabled")


def test_no_future_reaches_a_row(spark: SparkSession, known: Known) -> None:
    last = max(row["at"] for row in known.rows if row["at"] is not None)

    found = transformed(spark, known.rows, world=later_rows(known.world, than=last))

    assert by_content(found) == known.whole


def test_a_time_table_cut_to_what_the_rows_reach_changes_nothing(spark: SparkSession, known: Known) -> None:
    times = [row["at"] for row in known.rows if row["at"] is not None]
    world = sliced(known.world, to=(min(times), max(times)), back_us=9 * SECOND)

    assert by_content(transformed(spark, known.rows, world=world)) == known.whole


@pytest.mark.parametrize("needed", [{"N", "home_m"}, {"four"}, set(), {"unused", "home_y"}])
def test_leaving_out_what_nobody_reads_changes_no_other_column(
    spark: SparkSession, known: Known, needed: set[str]
) -> None:
    rows, tables = rows_frame(spark, known, known.rows), frames_of(spark, known.world)

    result = transform(known.world.wide, rows, tables, needed=frozenset(needed))

    assert {name.lower() for name in needed} <= set(result.columns)
    assert len(result.columns) < len(known.whole[0])
    assert "y" in result.columns and "seats" in result.columns
    assert by_content(collected(result)) == [{name: row[name] for name in result.columns} for row in known.whole]


def test_no_job_is_run_by_transform(spark: SparkSession, known: Known) -> None:
    rows, tables = rows_frame(spark, known, known.rows), frames_of(spark, known.world)
    context = spark.sparkContext
    group = str(uuid.uuid4())
    context.setJobGroup(group, "")
    result = known.world.wide.transform(rows, tables)
    jobs = context.statusTracker().getJobIdsForGroup(group)
    result.count()
    jobs_of_an_action = context.statusTracker().getJobIdsForGroup(group)
    context.setLocalProperty("spark.jobGroup.id", None)

    assert (len(jobs), len(jobs_of_an_action) > 0) == (0, True)
