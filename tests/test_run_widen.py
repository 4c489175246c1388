"""Training sets over real Delta tables: the same rows as transform, in any cut, and actuals that never leak."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from spark_scoring import Job, WideTable
from spark_scoring.cli import main
from spark_scoring.errors import ConfigError, RunError, SparkScoringError
from spark_scoring.run import batch
from spark_scoring.run.runs import Span
from spark_scoring.run.widen import Widened, widen
from spark_scoring.spec.job import Source
from spark_scoring.spec.plan import Plan
from tests.world import DAY, WIDE, World, flights, job_mapping, make_world

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


def test_a_training_set_is_transform_of_the_whole_and_every_commit_carries_its_plan(
    spark: SparkSession, tmp_path: Path
) -> None:
    world = world_with(spark, tmp_path)
    seen: list[int] = []
    done = made(world, wide=FULL, progress=lambda piece: seen.append(piece.counts.rows))

    expected = whole(world, FULL)
    assert rows_of(world) == expected
    assert (done.read, done.rows, done.rejected) == (60, len(expected), (("RULE:known_origin", 4),))
    assert (done.commits, sum(seen), done.immature, done.without_actual) == (3, done.rows, 0, ())
    assert [plan.commit_id for plan in plans(world)] == [
        f"{world.job.name}/widen/2013-09-0{interval}"
        for interval in (
            "1T00:00:00Z..2013-09-01T12:00:00Z", "1T12:00:00Z..2013-09-02T06:00:00Z",
            "2T06:00:00Z..2013-09-03T00:00:00Z",
        )
    ]  # fmt: skip
    assert plans(world)[0].tables == {"planes": 0, "weather": 0, "arrivals": 0}


@pytest.mark.slow
def test_again_changes_nothing_and_an_interval_leaves_the_others_alone(spark: SparkSession, tmp_path: Path) -> None:
    world = world_with(spark, tmp_path)
    made(world)
    made(world, span=Span(start=DAY + timedelta(hours=3), end=DAY + timedelta(hours=9), cut=timedelta(hours=2)))
    long = Span(start=DAY - timedelta(days=3), end=DAY + timedelta(days=6), cut=timedelta(days=3))
    done = made(world, span=long)

    # the intervals before and after the rows have none, and no commit
    assert (rows_of(world), done.read, done.commits, len(plans(world))) == (whole(world), 60, 4, 3 + 4 + 1)


def test_what_was_killed_goes_on_with_its_own_plan(spark: SparkSession, tmp_path: Path) -> None:
    truth = [landing(i, hours=2, minutes=float(i)) for i in range(60)]
    world = world_with(spark, tmp_path, truth)
    expected = made(world, "delay", out="expected")

    def die(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(world, "delay", progress=die)
    DeltaTable.forPath(spark, world.table("planes")).update(set={"seats": "1"})
    write_truth(spark, tmp_path, [])
    for other in ({"out": "other"}, {"span": replace(SPAN, end=DAY + timedelta(days=1))}):
        with pytest.raises(RunError, match=r"no unfinished run of 2013-09-01T00:00:00Z\.\.2013-09-0"):
            made(world, "delay", resume=True, **other)
    with pytest.raises(RunError, match="no unfinished run"):
        made(world, "delay", resume=True, wide=FULL)
    with pytest.raises(RunError, match="no unfinished run"):
        made(world, "once", resume=True)
    with pytest.raises(RunError, match="no unfinished run"):
        made(replace(world, job=replace(world.job, name="other")), "delay", resume=True)
    early = DAY + timedelta(hours=1)
    seen: list[int] = []
    resumed = {"wide": None, "clock": early, "progress": lambda piece: seen.append(piece.counts.rows)}
    done = made(world, "delay", resume=True, **resumed)

    assert replace(done, run_id="", path="") == replace(expected, run_id="", path="")
    assert rows_of(world) == rows_of(world, "expected") and (len(seen), sum(seen)) == (3, done.rows)
    assert {plan.clock for plan in plans(world)} == {NOW} and len(plans(world)) == 3
    with pytest.raises(RunError, match="no unfinished run"):
        made(world, "delay", resume=True)
    with pytest.raises(RunError, match="no unfinished run"):
        batch.score(spark, world.job, span=SPAN, clock=NOW, resume=True)


@pytest.mark.slow
def test_a_resumed_run_makes_again_what_was_lost_and_mixes_nothing(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_with(spark, tmp_path)
    made(world, out="expected")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    def interrupted(out: str) -> None:
        with pytest.raises(KeyboardInterrupt):
            made(world, out=out, progress=die)

    interrupted("lost")
    shutil.rmtree(world.table("lost"))
    made(world, out="lost", resume=True)
    assert rows_of(world, "lost") == rows_of(world, "expected")

    interrupted("deleted")
    DeltaTable.forPath(spark, world.table("deleted")).delete("hour(at) = 3")
    made(world, out="deleted", resume=True)
    assert rows_of(world, "deleted") == rows_of(world, "expected")

    interrupted("again")
    with monkeypatch.context() as patched:
        patched.setattr("spark_scoring.run.widen.insisting", die)
        with pytest.raises(KeyboardInterrupt):
            made(world, out="unbegun")
    DeltaTable.forPath(spark, world.table("planes")).update(set={"seats": "1"})
    for out in ("again", "unbegun"):
        made(world, out=out, clock=NOW + timedelta(hours=1), span=replace(SPAN, cut=timedelta(days=30)))
        with pytest.raises(RunError, match="another run has written there"):
            made(world, out=out, resume=True)


def test_what_another_job_wrote_to_or_the_rows_have_left_is_not_resumed(spark: SparkSession, tmp_path: Path) -> None:
    world = world_with(spark, tmp_path)
    other = replace(world, job=replace(world.job, name="other"))
    elsewhere = replace(world, job=replace(world.job, batch=Source(format="parquet", location=world.table("flights"))))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(world, progress=die)
    with pytest.raises(RunError, match=r"rows\.batch is not the source"):
        made(elsewhere, resume=True)
    made(other, span=replace(SPAN, cut=timedelta(days=30)))
    with pytest.raises(RunError, match="another run has written there"):
        made(world, resume=True)


def test_the_champions_wide_table_is_the_default_and_its_version_is_in_the_plan(
    spark: SparkSession, tmp_path: Path
) -> None:
    world = world_with(spark, tmp_path)
    made(world, wide=None, span=replace(SPAN, cut=timedelta(days=9)))
    assert rows_of(world) == whole(world, FULL)
    assert {(pin.role, pin.model, pin.version) for plan in plans(world) for pin in plan.models} == {
        ("champion", "late", "1")
    }


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


def test_a_place_that_is_taken_is_left_alone(spark: SparkSession, tmp_path: Path) -> None:
    world = world_with(spark, tmp_path)
    for out, place in (("flights", "rows.batch"), ("planes", "tables.planes"), ("scores", "output.batch")):
        with pytest.raises(ConfigError, match=f"{out}: {place} of job.yaml is there"):
            made(world, out=out)
    for out, why in (("scores/x/y", "output.batch of job.yaml is there"), ("free/x", "it lies in the table .*/free")):
        if out == "free/x":
            world.spark.range(1).write.format("delta").save(world.table("free"))
        with pytest.raises(ConfigError, match=f"{out}: {why}"):
            made(world, out=out)
    made(world)
    with pytest.raises(RunError, match=r"holds another training set: once is not there\. All rows of one"):
        made(world, "once")
    bare = WideTable.unpack({**WIDE, "steps": WIDE["steps"][1:2], "rules": {}})
    with pytest.raises(RunError, match="temp is not there, seats is only there"):
        made(world, wide=bare)
    assert rows_of(world) == whole(world)


def test_actuals_in_a_text_file(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("id,landed,minutes\nf000,2013-09-01 01:00:00Z,7.5\nf001,soon,1\n")
    columns = {"id": "string", "landed": "timestamp", "minutes": "double"}
    place = {"csv": str(tmp_path / "truth.csv"), "pinned": False, "columns": columns}
    world = world_with(spark, tmp_path, actuals={"delay": {**place, **ACTUALS["delay"]}})
    done = made(world, "delay")
    assert (column_of(world, "delay"), done.without_actual) == ({"f000": 7.5}, (("delay", 55),))
    assert plans(world)[0].tables["actuals.delay"] is None


def test_the_command(spark: SparkSession, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    world = world_with(spark, tmp_path, [landing(0, hours=1)])
    mapping = job_mapping(tmp_path, name="late", servers="127.0.0.1:1")
    mapping |= {"registry": world.job.registry, "actuals": {"once": {"delta": world.table("truth"), **ACTUALS["once"]}}}
    (tmp_path / "job.yaml").write_text(json.dumps(mapping))
    assert Job.load(tmp_path / "job.yaml").actuals[0].name == "once"
    words = ["widen", str(tmp_path / "job.yaml"), "--from", "2013-09-01", "--to", "2013-09-03", "--cut", "1d"]
    (tmp_path / "wide.yaml").write_text(SMALL.dump())
    words += ["--wide", str(tmp_path / "wide.yaml"), "--out", world.table("training"), "--with", "once"]
    capfd.readouterr()
    main([*words, "--json"])
    found = json.loads(capfd.readouterr().out)
    assert (found["commits"], found["read"], found["rows"], found["immature"]) == (2, 60, 56, 0)
    assert (found["rejected"], found["without_actual"]) == ([["RULE:known_origin", 4]], [["once", 55]])
    main(words)
    said = capfd.readouterr()
    assert "without actual  once 55" in said.out and "56 rows" in said.err
    with pytest.raises(SystemExit) as ended:
        main([*words[:-1], "onec"])
    assert ended.value.code == 2 and "Did you mean 'once'?" in capfd.readouterr().err
