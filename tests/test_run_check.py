"""Check: what it says of each step, over real tables and a real model, without reading a row."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from spark_scoring import WideTable, show
from spark_scoring.cli.checked import parts
from spark_scoring.errors import ConfigError, RunError
from spark_scoring.io import delta_upkeep
from spark_scoring.io.delta import Size
from spark_scoring.run import inputs
from spark_scoring.run.check import JobReport, StepReport, analyse, check
from spark_scoring.spec.job import Source
from spark_scoring.wide import strategies
from tests.batch_runs import score
from tests.world import WIDE, World, make_world

ACTUAL = {"on": ["origin"], "column": "delay", "time": "landed", "matures_after": "2d"}
GOLDEN = Path(__file__).parent / "golden" / "check.txt"


@pytest.fixture(scope="module")
def world(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("checked")
    return make_world(spark_session, folder, actuals={"late_by": {"delta": str(folder / "arrivals"), **ACTUAL}})


@pytest.fixture(scope="module")
def report(world: World) -> JobReport:
    return check(world.spark, world.job)


def step(report: JobReport, table: str) -> StepReport:
    return next(found for found in report.steps if found.table == table)


@contextmanager
def setting(spark: SparkSession, name: str, value: str) -> Iterator[None]:
    before = spark.conf.get(name)
    spark.conf.set(name, value)
    try:
        yield
    finally:
        spark.conf.set(name, str(before))


def test_each_step_says_how_its_table_comes_to_the_rows(report: JobReport) -> None:
    found = [(found.table, found.strategy, found.version, found.adds, found.read) for found in report.steps]
    assert found == [
        ("planes", "broadcast", 0, ("seats",), True),
        ("weather", "broadcast", 0, ("temp",), True),
        ("arrivals", "broadcast", 0, ("n", "mean_delay"), True),
        ("", None, None, ("hour", "per_seat"), True),
    ]
    assert step(report, "weather").why.endswith("KiB is at most 64.0 MiB")


def test_sizes_are_those_of_the_log(world: World, report: JobReport) -> None:
    for name, rows in (("planes", 8), ("weather", 104), ("arrivals", 80)):
        (file,) = Path(world.table(name)).glob("*.parquet")
        size = step(report, name).size
        assert size is not None and (size.rows, size.files, size.bytes) == (rows, 1, file.stat().st_size)


def test_what_is_read_after_pruning(report: JobReport) -> None:
    assert [(found.reads, found.reach) for found in report.steps] == [
        (("tail", "seats"), "all of it, once a version"),
        (("origin", "seen", "temp"), "all of it, once a version"),
        (
            ("origin", "landed", "delay"),
            "at most 6h before the rows; in batch all of it, once a version",
        ),
        ((), None),
    ]


def test_a_shuffled_time_table_is_read_as_far_as_the_rows_reach(world: World) -> None:
    with setting(world.spark, "spark.sql.autoBroadcastJoinThreshold", "-1"):
        report = check(world.spark, world.job)
    assert [(found.strategy, found.reach) for found in report.steps[:3]] == [
        ("shuffle", "all of it"),
        ("shuffle", "at most 2h before the rows"),
        ("shuffle", "at most 6h before the rows"),
    ]


def test_columns_that_nobody_needs(report: JobReport) -> None:
    assert (report.unused, report.left_out) == (("per_seat",), ())
    assert report.steps[3].unused == ("per_seat",)


def test_an_actual_is_checked_and_told(world: World, report: JobReport) -> None:
    (actual,) = report.actuals
    assert (actual.name, actual.place, actual.version, actual.size.rows) == ("late_by", world.table("arrivals"), 0, 80)
    assert (actual.on, actual.column, actual.time, actual.matures_after) == (
        (("origin", "origin"),),
        "delay",
        "landed",
        "2d",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"column": "dely"}, "late_by.column: unknown column of the table of late_by 'dely'. Did you mean 'delay'"),
        ({"on": {"tail": "delay"}}, "job.yaml: actuals.late_by.on: 'tail' is string, the table's 'delay' is double"),
        ({"delta": "nowhere"}, "table 'actuals.late_by': not found at nowhere"),
    ],
)  # fmt: skip
def test_an_actual_that_does_not_fit(
    changes: dict[str, Any], message: str, world: World, spark: SparkSession, tmp_path: Path
) -> None:
    actual = {"delta": world.table("arrivals"), **ACTUAL, **changes}
    unfit = make_world(spark, tmp_path, actuals={"late_by": actual})
    with pytest.raises((ConfigError, RunError)) as caught:
        check(spark, unfit.job)
    assert message in str(caught.value)


def test_no_row_is_read(world: World) -> None:
    for file in Path(world.folder).glob("*/*.parquet"):
        if file.parent.name in ("planes", "weather", "arrivals", "flights"):
            file.rename(f"{file}.away")
    try:
        check(world.spark, world.job)
    finally:
        for file in Path(world.folder).glob("*/*.away"):
            file.rename(str(file).removesuffix(".away"))


def test_what_people_see(report: JobReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "WIDTH", 100)
    said = printed(_anywhere(report), as_json=False)
    if os.environ.get("SPARK_SCORING_UPDATE_GOLDEN"):
        GOLDEN.write_text(said, encoding="utf-8")
    assert said == GOLDEN.read_text(encoding="utf-8")
    assert max(len(line) for line in said.splitlines()) <= 100


def test_each_of_several_shadows_is_shown(report: JobReport) -> None:
    models = (*report.models, ("shadow", "one 1"), ("shadow", "two 2"))
    said = printed(replace(report, models=models), as_json=False)
    assert [said.count(text) for _, text in models[1:]] == [1, 1]


def _anywhere(report: JobReport) -> JobReport:
    """The same without what differs between machines: paths, and the size of Parquet files."""
    size = Size(bytes=1234, files=1, rows=80)
    steps = tuple(replace(found, size=size if found.size else None) for found in report.steps)
    actuals = tuple(replace(found, place="data/arrivals", size=size) for found in report.actuals)
    return replace(report, steps=steps, actuals=actuals)


def printed(report: JobReport, *, as_json: bool) -> str:
    @click.command()
    def command() -> None:
        show.result(report, as_json=as_json, title="late: ready to run", parts=parts(report))

    return CliRunner().invoke(command).output


def test_what_machines_see_is_all_of_it(world: World, report: JobReport) -> None:
    plain = show.as_plain(report)
    assert set(plain) == {"models", "steps", "actuals", "columns", "unused", "left_out", "lane"}
    assert set(plain["steps"][0]) == {
        "step", "table", "strategy", "why", "version", "size", "reads", "reach", "adds", "unused", "read", "lane",
    }  # fmt: skip
    assert set(plain["steps"][0]["size"]) == {"bytes", "files", "rows"}
    assert "late_by" in printed(report, as_json=True)


def test_steps_of_plain_frames(world: World) -> None:
    steps = [{**found, "strategy": "shuffle"} if "window" in found else found for found in WIDE["steps"]]
    wide = WideTable.unpack({**WIDE, "steps": steps})
    tables = {name: world.spark.read.format("delta").load(world.table(name)) for name in WIDE["tables"]}

    found = strategies(wide, tables, needed=["seats", "mean_delay"])
    assert [(one.table, one.strategy, one.read) for one in found] == [
        ("planes", "broadcast", True), ("weather", None, False), ("arrivals", "shuffle", True), (None, None, False),
    ]  # fmt: skip
    assert [one.why for one in found[1:]] == [
        "nothing needs what it adds",
        "the step says so",
        "nothing needs what it adds",
    ]
    assert all(one.read for one in strategies(wide, tables))
    with pytest.raises(RunError, match="weather"):
        strategies(wide, {"planes": tables["planes"]})


def test_an_output_inside_another_place_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    world = make_world(spark, tmp_path)
    spark.range(1).write.format("delta").save(world.table("free"))
    before = sorted(tmp_path.rglob("*"))
    for key, inside, why in (
        ("batch", "flights/scores", "rows.batch of job.yaml is there"),
        ("stream", "planes/x/scores", "tables.planes of job.yaml is there"),
        ("stream", "scores/stream", "output.batch of job.yaml is there"),
        ("batch", "free/x/scores", "it lies in the table .*/free"),
    ):
        job = replace(world.job, output=replace(world.job.output, **{key: world.table(inside)}))
        for attempt in (lambda: check(spark, job), lambda: score(replace(world, job=job))):  # noqa: B023  called at once
            with pytest.raises(ConfigError, match=rf"job\.yaml: output\.{key}: .*/{inside}: {why}"):
                attempt()
    assert sorted(tmp_path.rglob("*")) == before


def test_an_output_that_no_write_gets_into(spark: SparkSession, tmp_path: Path) -> None:
    world = make_world(spark, tmp_path)
    batch, models = world.job.batch, inputs.load_models(spark, world.job)

    def analysed(rows: Source | None, target: str) -> DataFrame:
        return analyse(spark, world.job, models, target=target, rows=rows)

    def made(name: str, *by: str, null: str = "", extra: str = "", **properties: str) -> str:
        fields = [StructField(one.name, one.dataType, one.name != null) for one in columns]
        fields += [StructField(extra, StringType(), False)] if extra else []
        # tables in SQL by their path: what the session of a job does not allow
        table = DeltaTable.create(delta_upkeep._aside(spark)).location(world.table(name))
        table = table.addColumns(StructType(fields)).partitionedBy(*by)
        for key, value in properties.items():
            table = table.property(f"delta.{key}", value)
        table.execute()
        return world.table(name)

    columns = analysed(batch, world.table("none")).schema
    for target, why in (
        (made("whole"), "partitioned by nothing, and an output is by event_date"),
        (made("roles", "event_date", "role"), "partitioned by event_date, role, and"),
        (made("null", "event_date", null="score"), "it says NOT NULL of score, "),
        (made("extra", "event_date", extra="note"), "it says NOT NULL of note, "),
        (closed := made("closed", "event_date", appendOnly="true"), "delta.appendOnly"),
    ):
        with pytest.raises(RunError, match=why):
            analysed(batch, target)
    analysed(None, closed)
    analysed(batch, made("open", "event_date", null="outcome"))
