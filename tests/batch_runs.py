"""Two days of the airline scored as a batch, and rows of it that have no time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from spark_scoring.run import batch
from spark_scoring.run.runs import Span
from tests.world import DAY, World, flights

SPAN = Span(start=DAY, end=DAY + timedelta(days=2), cut=timedelta(days=1))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def score(world: World, *, span: Span = SPAN, clock: datetime = NOW, **options: Any) -> batch.Result:
    return batch.score(world.spark, world.job, span=span, clock=clock, **options)


def add_undated(world: World) -> None:
    extra = flights(2)
    extra[0] |= {"id": "no_time", "at": None}
    extra[1] |= {"id": "too_late", "at": datetime(2999, 1, 1, tzinfo=UTC)}
    schema = world.spark.read.format("delta").load(world.table("flights")).schema
    frame = world.spark.createDataFrame([tuple(row.values()) for row in extra], schema)
    frame.write.format("delta").mode("append").save(world.table("flights"))


def undated(world: World) -> list[tuple[str, str, None]]:
    return [(r["id"], r["reason"], r["event_time"]) for r in world.output("batch") if r["event_date"] is None]


UNDATED = [("no_time", "SCHEMA", None), ("too_late", "SCHEMA", None)]
