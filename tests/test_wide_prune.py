"""Which steps stay when only some columns are needed; without Spark."""

from dataclasses import replace

import pytest
from wide_world import MAPPING

from spark_scoring.spec.wide import WideTable
from spark_scoring.wide.prune import steps_read

WIDE = WideTable.unpack(MAPPING)
WITHOUT_RULES = replace(WIDE, rules=())


@pytest.mark.parametrize(
    ("wide", "needed", "kept"),
    [
        (WIDE, None, {0, 1, 2, 3, 4, 5, 6}),
        (WITHOUT_RULES, set(), {0}),
        (WIDE, set(), {0, 1}),
        (WITHOUT_RULES, {"HOME_M"}, {0, 4}),
        (WITHOUT_RULES, {"twice"}, {0, 1, 3, 5}),
        (WITHOUT_RULES, {"unused", "sd"}, {0, 3, 6}),
    ],
)
def test_a_step_stays_if_something_reads_it_and_a_lookup_always(
    wide: WideTable, needed: set[str] | None, kept: set[int]
) -> None:
    found = steps_read(wide, needed=None if needed is None else frozenset(needed))

    assert {wide.steps.index(step) for step in found} == kept
    assert list(found) == [step for step in wide.steps if step in found]
