"""Plans as they stand in a table's log, and back."""

from dataclasses import replace
from datetime import UTC, datetime

from spark_scoring.spec.plan import Interval, ModelPin, Plan, Settings

CLOCK = datetime(2026, 3, 29, tzinfo=UTC)
PLAN = Plan(commit_id="late/one/0", clock=CLOCK, input=Interval(bounds=None), tables={"planes": 3}, models=())


def pin(role: str, version: str = "1") -> ModelPin:
    return ModelPin(role=role, model="late", version=version, digest="0" * 64)


def test_models_come_back_in_the_order_of_the_job() -> None:
    shadows = [pin("shadow", str(version)) for version in range(12, 0, -1)]
    plan = replace(PLAN, models=(pin("champion"), pin("challenger"), *shadows))

    assert Plan.parse(plan.dump()) == plan
    assert Plan.unpack(plan.pack()) == plan


def test_what_older_plans_do_not_say_is_none() -> None:
    challenger = replace(pin("challenger"), share=0.1)
    settings = Settings(keep=("input",), time_unit="s", unknown="reject")
    plan = replace(PLAN, models=(pin("champion"), challenger), settings=settings, table_ids={"planes": "an id"})
    older = plan.pack()
    del older["models"]["challenger"]["share"], older["settings"], older["table_ids"]

    assert Plan.parse(plan.dump()) == plan
    assert Plan.unpack(older) == replace(PLAN, models=(pin("champion"), pin("challenger")))
