"""Intervals and cuts of a batch run: rows at their bounds, and rows without a time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyspark.sql.functions as F
import pytest
from delta.tables import DeltaTable
from pyspark.sql import Column, SparkSession

from spark_scoring.errors import RunError
from spark_scoring.run import batch
from spark_scoring.run.runs import Span
from spark_scoring.spec.nouns import Rows
from tests.batch_runs import UNDATED, add_undated, score, undated
from tests.world import DAY, World, make_world


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path) -> Iterator[World]:
    yield make_world(spark, tmp_path)


def test_rows_without_a_time_are_kept_and_an_interval_has_none_of_them(world: World) -> None:
    add_undated(world)
    year = Span(start=datetime(2999, 1, 1, tzinfo=UTC), end=datetime(3000, 1, 1, tzinfo=UTC), cut=timedelta(days=400))

    assert score(world, span=year).counts.rows == 2
    assert undated(world) == UNDATED
    score(world)
    assert score(world, span=year).counts.rows == 2
    assert undated(world) == UNDATED and len(world.output("batch")) == 62


@pytest.mark.parametrize("low", [DAY, datetime(1500, 2, 27, tzinfo=UTC)])
def test_a_row_of_the_span_or_without_a_time_is_in_exactly_one_commit(spark: SparkSession, low: datetime) -> None:
    moment, day = timedelta(microseconds=1), timedelta(days=1)
    high = low + 3 * day
    rows = Rows(key=["at"], time="at", columns={"at": "timestamp"}, time_range=(low, high))
    days = [low + n * day for n in range(-2, 7)]
    times = [None, *[at + d * moment for at in days for d in (-1, 0, 1)]]
    spans = [Span(start=start, end=end, cut=timedelta(hours=36)) for start in days for end in days if start < end]

    def commits(span: Span) -> Column:
        each = [batch.without_time(rows), *[batch.in_interval(rows, *bounds) for bounds in batch.cuts(span)]]
        return sum((F.coalesce(one, F.lit(False)).cast("int") for one in each), F.lit(0))

    def expected(at: datetime | None, span: Span) -> int:
        return int(at is None or not low <= at < high or span.start <= at < span.end)

    frame = spark.createDataFrame([(at,) for at in times], "at timestamp")
    found = frame.select(F.array([commits(span) for span in spans]).alias("commits")).collect()
    assert [row["commits"] for row in found] == [[expected(at, span) for span in spans] for at in times]


@pytest.mark.parametrize("cut", [timedelta(days=1), timedelta(hours=7), timedelta.max])
def test_cuts_end_with_the_calendar(cut: timedelta) -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for span in (
        Span(start=first, end=first + timedelta(days=1), cut=cut),
        Span(start=last - cut / 9**9, end=last, cut=cut),
    ):
        found = list(batch.cuts(span))
        assert (found[0][0], found[-1][1]) == (span.start, span.end)


@pytest.mark.slow
def test_an_empty_source_does_not_wipe_the_rows_without_a_time(world: World) -> None:
    add_undated(world)
    score(world)
    source = DeltaTable.forPath(world.spark, world.table("flights"))
    elsewhere = Span(start=DAY + timedelta(days=9), end=DAY + timedelta(days=10), cut=timedelta(days=1))

    source.delete()
    with pytest.raises(RunError, match=r"/undated: .* --allow-empty"):
        score(world, span=elsewhere)
    assert undated(world) == UNDATED
    score(world, span=elsewhere, allow_empty=True)
    assert undated(world) == []


@pytest.mark.slow
def test_rows_without_a_time_go_where_the_source_has_others(world: World) -> None:
    add_undated(world)
    score(world)
    DeltaTable.forPath(world.spark, world.table("flights")).delete("id in ('no_time', 'too_late')")
    score(world)

    assert (undated(world), len(world.output("batch"))) == ([], 60)
