"""Training sets made of the airline, its actuals, and what is in them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from spark_scoring import WideTable
from spark_scoring.run.runs import Span
from spark_scoring.run.widen import Widened, widen
from spark_scoring.spec.plan import Plan
from tests.world import DAY, WIDE, World, flights, make_world

SPAN = Span(start=DAY, end=DAY + timedelta(days=2), cut=timedelta(hours=18))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRUTH = "id string, landed timestamp, minutes double"
FULL = WideTable.unpack(WIDE)
# what is tested of actuals does not depend on the steps, and they take time
SMALL = WideTable.unpack({**WIDE, "steps": WIDE["steps"][:1]})
ACTUALS: dict[str, Any] = {
    "delay": {"on": ["id"], "time": "landed", "column": "minutes", "matures_after": "1d"},
    "once": {"on": {"id": "id"}, "column": "minutes", "matures_after": "1h"},
}
Truth = Sequence[tuple[str, datetime | None, float | None]]


def landing(number: int, *, hours: float, minutes: float | None = 1.0) -> tuple[str, datetime, float | None]:
    """What becomes known so many hours after a flight's own time."""
    flight = flights()[number]
    return flight["id"], flight["at"] + timedelta(hours=hours), minutes


def world_with(spark: SparkSession, folder: Path, truth: Truth = (), **changes: Any) -> World:
    """The airline with a table `truth`, and the actuals over it."""
    write_truth(spark, folder, truth)
    actuals = {name: {"delta": str(folder / "truth"), **actual} for name, actual in ACTUALS.items()}
    return make_world(spark, folder, **{"actuals": actuals, **changes})


def write_truth(spark: SparkSession, folder: Path, truth: Truth) -> None:
    frame = spark.createDataFrame(list(truth), TRUTH)
    frame.write.format("delta").mode("overwrite").save(str(folder / "truth"))


def made(world: World, *actuals: str, out: str = "training", **options: Any) -> Widened:
    given = {"span": SPAN, "clock": NOW, "wide": SMALL, **options}
    return widen(world.spark, world.job, out=world.table(out), actuals=actuals, **given)


def rows_of(world: World, out: str = "training") -> list[dict[str, Any]]:
    rows = world.spark.read.format("delta").load(world.table(out)).collect()
    return sorted((row.asDict(recursive=True) for row in rows), key=lambda row: str(row["id"]))


def column_of(world: World, name: str) -> dict[str, Any]:
    """id -> value, nulls left out."""
    return {row["id"]: row[name] for row in rows_of(world) if row[name] is not None}


def whole(world: World, wide: WideTable = SMALL) -> list[dict[str, Any]]:
    """What transform gives for all rows at once."""
    read = world.spark.read.format("delta").load
    frame = wide.transform(read(world.table("flights")), {name: read(world.table(name)) for name in WIDE["tables"]})
    rows = frame.where("rejected is null").drop("rejected").collect()
    return sorted((row.asDict(recursive=True) for row in rows), key=lambda row: str(row["id"]))


def plans(world: World, out: str = "training") -> list[Plan]:
    history = DeltaTable.forPath(world.spark, world.table(out)).history().orderBy("version").collect()
    return [plan for row in history if (plan := Plan.parse(row["userMetadata"]))]
