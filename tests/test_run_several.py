"""Models with different wide tables in one job: each sees its own columns, rejections and rules."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_scoring import Job, WideTable
from spark_scoring.errors import RunError
from spark_scoring.run import batch, check
from spark_scoring.run.output import from_table
from spark_scoring.run.reach import reach_of
from spark_scoring.run.runs import Span
from spark_scoring.run.serving import check_feeds
from spark_scoring.spec.union import union_of
from spark_scoring.watch.explain import Asked, explain
from spark_scoring.wide.met import WindowMatch
from spark_scoring.wide.several import Wanted, shared_steps, spaces_of, transform_each
from spark_scoring.wide.transform import transform
from tests.world import DAY, WIDE, World, job_mapping, make_world, package_model

SPAN = Span(start=DAY, end=DAY + timedelta(days=2), cut=timedelta(days=2))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def changed(**rows: str) -> dict[str, Any]:
    """The world's definition with a shorter window, a rule of its own, and other contracts of some row columns."""
    mapping: dict[str, Any] = copy.deepcopy(WIDE)
    mapping["name"] = "later"
    mapping["steps"][2]["last"] = "3h"
    mapping["rules"] = {"another": "id <> 'f020'"}
    mapping["rows"]["columns"] |= rows
    return mapping


OTHER = changed(tail="string not null")
LATE, LATER = WideTable.unpack(WIDE), WideTable.unpack(OTHER)


@pytest.fixture
def world(spark: SparkSession, tmp_path: Path) -> Iterator[World]:
    made = make_world(spark, tmp_path, own_registry=True)
    package_model(spark, made.folder, mapping=OTHER, name="later")
    yield made


def scored(world: World, name: str, models: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The output of a job of its own with these models, by the rows' id."""
    places = {table.name: {"delta": table.source.location} for table in world.job.tables}
    mapping = {
        "name": name,
        "rows": {"batch": {"delta": world.table("flights")}},
        "tables": places,
        "models": models,
        "output": {"batch": world.table(f"scores_{name}"), "keep": ["input", "features"]},
        "state": world.table(f"state_{name}"),
        "registry": world.job.registry,
    }
    job = type(world.job).unpack(mapping, {}, source=f"{name}.yaml")
    batch.score(world.spark, job, span=SPAN, clock=NOW)
    frame = world.spark.read.format("delta").load(str(job.output.batch))
    drawn = F.pmod(F.xxhash64(F.lit(name), "id"), F.lit(10_000)) < F.lit(5_000.0)
    rows = [row.asDict(recursive=True) for row in frame.withColumn("drawn", drawn).collect()]
    assert len(rows) == len({row["id"] for row in rows}) == 60
    return {row["id"]: row for row in rows}


def test_each_model_scores_and_rejects_as_it_does_alone(world: World) -> None:
    ours, theirs = "models:/late@champion", "models:/later@champion"
    alone = scored(world, "ours", {"champion": ours}), scored(world, "theirs", {"champion": theirs})

    both = scored(world, "both", {"champion": ours, "challenger": {"model": theirs, "share": 0.5}, "shadow": [theirs]})

    kept = ("outcome", "reason", "reason_detail", "score", "label", "model", "model_version")
    for key, row in both.items():
        served = alone[1 if row["drawn"] else 0][key]
        assert {name: row[name] for name in kept} == {name: served[name] for name in kept}
        assert row["role"] == (None if served["score"] is None else "challenger" if row["drawn"] else "champion")
        assert row["features"] == served["features"]
        if row["scores"]:
            found = [(entry["role"], entry["score"], entry["reason"], entry["detail"]) for entry in row["scores"]]
            told = [(one[key]["score"], one[key]["reason"], one[key]["reason_detail"]) for one in alone]
            assert found == [("champion", *told[0]), ("challenger", *told[1]), ("shadow", *told[1])]
    outcomes = {(alone[0][key]["outcome"], alone[1][key]["outcome"]) for key in both}
    assert len(outcomes) == 4, "every pair of outcomes is among the rows"
    assert {row["drawn"] for row in both.values()} == {True, False}


def test_check_names_whose_step_it_is(world: World) -> None:
    mapping = {"champion": "models:/late@champion", "challenger": {"model": "models:/later@champion", "share": 0.5}}
    job = make_world(world.spark, world.folder / "checked", models=mapping, registry=world.job.registry).job

    steps = [step.step for step in check.check(world.spark, job).steps]

    assert [step.partition(":")[0] for step in steps] == ["champion"] * 4 + ["challenger"] * 4


@pytest.mark.slow
def test_explain_tells_of_each_model_s_own_steps_and_scores(world: World) -> None:
    ours, theirs = "models:/late@champion", "models:/later@champion"
    models = {"champion": ours, "challenger": {"model": theirs, "share": 0.5}, "shadow": [theirs]}
    rows = scored(world, "told", models)
    job = make_world(world.spark, world.folder / "told", models=models, registry=world.job.registry).job
    job = replace(job, name="told")
    for key in ("f010", "f020"):
        row = rows[key]
        found = explain(world.spark, job, Asked(key=key, time=row["event_time"].replace(tzinfo=UTC)), clock=NOW)

        steps = [(step.kind, step.roles) for step in found.steps]
        kinds = ("lookup", "as_of", "window", "columns")
        others = [(kind, ("challenger", "shadow")) for kind in kinds]
        assert steps == [*[(kind, ("champion",)) for kind in kinds], *others]
        windows = [step.match for step in found.steps if isinstance(step.match, WindowMatch)]
        assert [one.end - one.start for one in windows] == [timedelta(hours=6), timedelta(hours=3)]
        assert (found.outcome, found.reason) == (row["outcome"], row["reason"])
        said = [(model.role, model.score, model.reason) for model in found.models]
        written = [(entry["role"], entry["score"], entry["reason"]) for entry in row["scores"]]
        assert said == (written or [(model.role, None, None) for model in found.models])
        assert [model.role for model in found.models if model.served] == ([row["role"]] if row["role"] else [])


def test_a_run_that_goes_on_keeps_the_order_and_the_share_of_its_plan(world: World) -> None:
    ours, theirs = "models:/late@champion", "models:/later@champion"
    models = {"champion": ours, "challenger": {"model": theirs, "share": 0.5}, "shadow": [theirs, ours]}
    expected = scored(world, "both", models)
    job = make_world(world.spark, world.folder / "both", models=models, registry=world.job.registry).job
    job = replace(job, name="both")
    tenth = tuple(replace(model, share=0.1) if model.role == "challenger" else model for model in job.models)

    def die(plan: object) -> None:
        raise KeyboardInterrupt

    cut = Span(start=SPAN.start, end=SPAN.end, cut=timedelta(days=1))
    with pytest.raises(KeyboardInterrupt):
        batch.score(world.spark, job, span=cut, clock=NOW, progress=die)
    batch.score(world.spark, replace(job, models=tenth), span=cut, clock=NOW, resume=True)
    rows = world.spark.read.format("delta").load(str(job.output.batch)).collect()

    def told(row: Mapping[str, Any]) -> tuple[Any, ...]:
        return row["role"], row["score"], [(one["role"], one["model"], one["score"]) for one in row["scores"]]

    assert {row["id"]: told(row.asDict(recursive=True)) for row in rows} == {
        key: told(row) for key, row in expected.items()
    }


def test_steps_are_shared_where_they_and_all_they_read_are_equal() -> None:
    assert shared_steps([(LATE, LATE.steps), (LATER, LATER.steps)]) == (LATE.steps[0], LATE.steps[1], LATE.steps[3])
    assert shared_steps([(LATE, LATE.steps)]) == LATE.steps


def test_a_step_over_another_column_of_the_same_name_is_not_shared() -> None:
    mapping: dict[str, Any] = copy.deepcopy(WIDE)
    mapping["steps"][0]["take"] = {"seats": "seats"}
    mapping["tables"]["planes"]["columns"]["seats"] = "bigint"

    assert shared_steps([(LATE, LATE.steps), (other := WideTable.unpack(mapping), other.steps)]) == LATE.steps[1:3]


def test_a_lookup_after_one_that_is_not_shared_is_not_shared() -> None:
    mapping: dict[str, Any] = copy.deepcopy(WIDE)
    mapping["steps"].insert(0, {"lookup": "planes", "on": ["tail"], "take": {"first": "seats"}, "required": True})
    other = WideTable.unpack(mapping)

    assert LATE.steps[0] not in shared_steps([(LATE, LATE.steps), (other, other.steps)])


def test_a_candidate_that_needs_more_of_a_feed_than_the_stream_reads_is_refused(tmp_path: Path) -> None:
    job = Job.unpack(job_mapping(tmp_path, name="j", servers="127.0.0.1:1"), {}, source="job.yaml")
    mapping: dict[str, Any] = copy.deepcopy(WIDE)
    mapping["tables"]["arrivals"]["columns"]["gate"] = "string"
    more, without = WideTable.unpack(mapping), {**copy.deepcopy(WIDE), "steps": WIDE["steps"][:2]}
    del without["tables"]["arrivals"]

    check_feeds(job, LATE, LATER)
    with pytest.raises(RunError, match="reads gate of table arrivals"):
        check_feeds(job, LATE, more)
    with pytest.raises(RunError, match="reads origin, landed, delay of table arrivals"):
        check_feeds(job, WideTable.unpack(without), LATE)


@pytest.mark.parametrize(
    ("columns", "said"),
    [({"miles": "float"}, "rows.columns.miles is float"), ({"id": "string", "at": "timestamp not null"}, None)],
)
def test_the_rows_of_all_have_the_same_types(columns: dict[str, str], said: str | None) -> None:
    wides = [LATE, WideTable.unpack(changed(**columns))]
    if said is None:
        assert [column.nullable for column in union_of(wides).rows.columns] == [True, False, True, True, False]
        return
    with pytest.raises(RunError, match=said):
        union_of(wides)


def test_one_computes_what_another_reads_from_the_rows(spark: SparkSession, world: World) -> None:
    computing, reading = copy.deepcopy(WIDE), copy.deepcopy(WIDE)
    computing["steps"].insert(0, {"columns": {"place": "upper(origin)"}})
    computing["steps"][2]["on"] = {"place": "origin"}
    computing["rules"] = {"early": "hour < 12 and place <> 'LGA'"}
    reading["rows"]["columns"] |= {"hour": "int", "Place": "string not null"}
    reading["steps"][3]["columns"] = {"per_seat": "hour / seats"}
    reading["rules"] = {"known": "place like 'LGA%' or hour > 30"}
    wides = [WideTable.unpack(computing), WideTable.unpack(reading)]
    needed = [frozenset({"temp", "hour", "place"}), frozenset({"temp", "hour", "per_seat"})]
    tables = {table.name: spark.read.format("delta").load(world.table(table.name)) for table in world.job.tables}
    flights = spark.read.format("delta").load(world.table("flights"))
    rows = flights.withColumns({"hour": F.expr("hour(at) + 20"), "place": F.expr("'LGA ' || origin")})
    reach = reach_of(rows, union_of(wides))
    assert all(place.startswith("LGA ") for place in reach.keys["place"]), "the weather has none of them"

    for order in ([0, 1], [1, 0]):
        wanted = [Wanted(wide=wides[i], needed=needed[i]) for i in order]
        both = transform_each(wanted, rows, tables, keys=reach.keys)
        assert both.columns[: len(rows.columns)] == ["id", "origin", "tail", "miles", "at", "hour", "Place"]
        assert answers(both.select(rows.columns)) == answers(rows)
        for one, space in zip(wanted, spaces_of(wanted), strict=True):
            own = rows.select([column.name for column in one.wide.rows.columns])
            alone = transform(one.wide, own, tables, needed=one.needed)
            found = both.select("id", *[F.col(space.column(name)).alias(name) for name in one.needed], space.rejected)
            assert answers(found) == answers(alone.select("id", *one.needed, "rejected"))


def answers(frame: DataFrame) -> list[str]:
    return sorted(map(repr, map(tuple, frame.collect())))


def test_models_of_which_one_reads_what_another_computes(world: World) -> None:
    mapping = changed(hour="int")
    mapping["steps"][-1]["columns"] = {"per_seat": "hour / seats"}
    flights = world.spark.read.format("delta").load(world.table("flights"))
    moved = flights.withColumn("hour", F.expr("cast(31 - hour(at) as int)")).localCheckpoint()
    moved.write.format("delta").option("overwriteSchema", True).mode("overwrite").save(world.table("flights"))
    package_model(world.spark, world.folder, mapping=mapping, name="given")
    models = {"champion": "models:/late@champion", "challenger": {"model": "models:/given@champion", "share": 0.5}}
    rows = scored(world, "both", models)

    for row in rows.values():
        hour = row["event_time"].hour
        assert row["input"]["hour"] == 31 - hour
        assert row["features"]["hour"] == (31 - hour if row["drawn"] else hour)
    job = make_world(world.spark, world.folder / "both", models=models, registry=world.job.registry).job
    row = rows["f010"]
    asked = Asked(key="f010", time=row["event_time"].replace(tzinfo=UTC))
    told = explain(world.spark, replace(job, name="both", batch=world.job.batch), asked, clock=NOW)
    hour = row["event_time"].hour
    assert told.input["hour"] == 31 - hour
    assert [model.features["hour"] for model in told.models] == [hour, 31 - hour]
    assert [model.score for model in told.models] == [entry["score"] for entry in row["scores"]]


def test_columns_that_nobody_declared_are_left_out(spark: SparkSession) -> None:
    rows = spark.sql("select 'a' ID, 'JFK' origin, 'N1' tail, 1.0D miles, current_timestamp() at, 3 hour, 4 scores")
    assert from_table(rows, LATE).columns == ["ID", "origin", "tail", "miles", "at", "__source", "__raw"]
    assert "scores" in from_table(rows.drop("tail"), LATE).columns, "told where one is missing"
