"""Models with different wide tables in one job: each sees its own columns, rejections and rules."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_scoring import Job, WideTable
from spark_scoring.errors import RunError
from spark_scoring.run import batch, check
from spark_scoring.run.runs import Span
from spark_scoring.run.serving import check_feeds
from spark_scoring.spec.union import union_of
from spark_scoring.watch.explain import Asked, explain
from spark_scoring.wide.met import WindowMatch
from spark_scoring.wide.several import shared_steps
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


def test_none_computes_what_another_reads_from_the_rows() -> None:
    said = (
        "wide table late: column hour is made by a step, in the wide table late of the same job it is one of the rows"
    )
    given = copy.deepcopy(WIDE)
    given["rows"]["columns"]["hour"] = "int"
    given["steps"][-1]["columns"] = {"per_seat": "hour / seats"}
    with pytest.raises(RunError, match=said):
        union_of([LATE, WideTable.unpack(given)])
