"""Sums, means and deviations of floats: exact, rounded once, whatever stands beside what."""

import math
import random
import struct
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import Row, bits
from pyspark.sql import SparkSession
from wide_cases import NOON, SECOND, differing, expected, few, transformed, world_of

INF, NAN = math.inf, math.nan
MOST, LEAST, HALF_ULP_OF_MOST = 1.7976931348623157e308, 5e-324, 2.0**970

COLUMNS = {"k": "string", "seen": "timestamp", "x": "double", "f": "float"}
CALLS = {"s_x": "sum(x)", "m_x": "mean(x)", "t_x": "stddev(x)", "s_f": "sum(f)", "m_f": "mean(f)", "t_f": "stddev(f)"}
MAPPING: dict[str, Any] = {
    "name": "exact",
    "rows": {"key": ["k"], "time": "at", "columns": {"k": "string", "at": "timestamp not null"}},
    "tables": {"t": {"time": "seen", "columns": COLUMNS}},
    "steps": [{"window": "t", "on": ["k"], "last": "9s", "take": CALLS}],
}
PYTHON = {name: (lambda row, name=name: row[name]) for name in ("x", "f")}


def single(value: float) -> float:
    """The value as a single-precision number holds it."""
    try:
        return float(struct.unpack(">f", struct.pack(">f", value))[0])
    except OverflowError:
        return math.copysign(INF, value)


def summed(spark: SparkSession, cases: Sequence[Sequence[float]]) -> list[Row]:
    """The aggregates over each case, one microsecond after the other; held against the oracle."""
    table = [
        {"k": f"{case}", "seen": NOON + i, "x": value, "f": single(value)}
        for case, values in enumerate(cases)
        for i, value in enumerate(values)
    ]
    world = world_of(MAPPING, tables={"t": table}, python=PYTHON)
    rows = [{"k": f"{case}", "at": NOON + SECOND} for case in range(len(cases))]
    found = transformed(spark, rows, world=world)
    assert differing(found, expected(rows, world=world), by=["k"]) == []
    return sorted(found, key=lambda row: int(row["k"]))


SUMS: tuple[tuple[list[float], float], ...] = (
    ([1e16, 1.0, -1e16], 1.0),
    ([1.0, 1e100, 1.0, -1e100], 2.0),
    ([0.1] * 10, 1.0),
    ([1e308, 1e308, -1e308], 1e308),
    ([MOST, MOST, -MOST, -MOST, LEAST], LEAST),
    ([MOST, HALF_ULP_OF_MOST / 2], MOST),
    ([MOST, HALF_ULP_OF_MOST], INF),
    ([-MOST, -HALF_ULP_OF_MOST], -INF),
    ([MOST, HALF_ULP_OF_MOST, -LEAST], MOST),
    ([MOST, MOST], INF),
    ([2.0**53, 1.0], 2.0**53),
    ([2.0**53 + 2, 1.0], 2.0**53 + 4),
    ([2.0**53, 1.0, LEAST], 2.0**53 + 2),
    ([2.0**53, 1.0, -LEAST], 2.0**53),
    ([LEAST] * 3, 3 * LEAST),
    ([2.0**-1022, -LEAST], 2.0**-1022 - LEAST),
    ([1e-300, 1e-320, -1e-300], 1e-320),
    ([-0.0], 0.0),
    ([-0.0, -0.0], 0.0),
    ([1.5, -1.5], 0.0),
    ([INF, 1.0], INF),
    ([INF, INF], INF),
    ([-INF, MOST], -INF),
    ([INF, -INF], NAN),
    ([NAN, 1.0], NAN),
    ([NAN, INF], NAN),
    ([3.0, -(2.0**-60), 2.0**-60], 3.0),
)


def test_a_sum_is_the_nearest_double_to_the_true_sum(spark: SparkSession) -> None:
    found = summed(spark, [values for values, _ in SUMS])

    assert [bits(row["s_x"]) for row in found] == [bits(total) for _, total in SUMS]


SINGLES: tuple[tuple[list[float], float], ...] = (
    ([1.0, 2.0**-24, 2.0**-60], 1.0 + 2.0**-23),
    ([1.0, 2.0**-24], 1.0),
    ([1.0, 2.0**-24, -(2.0**-60)], 1.0),
    ([2.0**127, 2.0**127], INF),
    ([2.0**127, 2.0**127, -(2.0**104)], 2.0**128 - 2.0**104),
    ([2.0**127, 2.0**127, -(2.0**103)], INF),
    ([2.0**127, 2.0**127, -(2.0**103), -(2.0**-149)], 2.0**128 - 2.0**104),
    ([2.0**-149] * 5, 5 * 2.0**-149),
    ([-0.0], 0.0),
)


def test_a_sum_of_singles_is_rounded_once_and_not_to_a_double_first(spark: SparkSession) -> None:
    found = summed(spark, [values for values, _ in SINGLES])

    assert [bits(row["s_f"]) for row in found] == [bits(total) for _, total in SINGLES]


MEANS: tuple[tuple[list[float], float, float | None], ...] = (
    ([1.0, 2.0, 4.0], 7 / 3, math.sqrt(4.666666666666667 / 2)),
    ([5.0], 5.0, None),
    ([MOST, MOST], INF, NAN),
    ([MOST, -MOST], 0.0, INF),
    ([INF, 1.0], INF, NAN),
    ([NAN, 1.0], NAN, NAN),
    ([1e-200, -1e-200], 0.0, 0.0),
    ([-0.0, -0.0], 0.0, 0.0),
    ([1e16, 1e16 + 2, 1e16 + 4], 1e16 + 2, 2.0),
    ([0.1, 0.1, 0.1], 0.30000000000000004 / 3, math.sqrt(1.5) * 2.0**-56),
)


def test_a_mean_is_the_rounded_sum_by_the_count_and_a_deviation_goes_from_that_mean(spark: SparkSession) -> None:
    found = summed(spark, [values for values, _, _ in MEANS])

    assert [(bits(row["m_x"]), bits(row["t_x"])) for row in found] == [
        (bits(mean), bits(deviation)) for _, mean, deviation in MEANS
    ]


ANY = st.floats() | st.sampled_from([-0.0, LEAST, MOST, -MOST, 1e16, 1.0, 2.0**53, 0.1, 1e-300])
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.floats(-1, 1)


@few
@given(st.lists(st.lists(ANY, max_size=40) | st.lists(FINITE, max_size=70), min_size=60, max_size=120))
def test_any_floats_agree_with_fractions(spark: SparkSession, cases: list[list[float]]) -> None:
    summed(spark, cases)


@pytest.mark.parametrize("seed", [1])
def test_the_order_of_the_values_changes_no_sum(spark: SparkSession, seed: int) -> None:
    dice = random.Random(seed)
    values = [dice.uniform(-1, 1) * 2.0 ** dice.randint(-1074, 1000) for _ in range(400)]
    values += [-value for value in values[:399]]
    orders = [dice.sample(values, len(values)) for _ in range(12)]

    found = summed(spark, [*orders, sorted(values), sorted(values, key=abs)])

    assert len({tuple(bits(row[call]) for call in CALLS) for row in found}) == 1
    assert found[0]["s_x"] == values[399]


WHOLE: dict[str, Any] = {
    **MAPPING,
    "tables": {
        "t": {
            "time": "seen",
            "columns": {
                "k": "string", "seen": "timestamp", "n": "bigint", "i": "tinyint", "d": "decimal(38,10)",
                "e": "decimal(9,4)",
            },
        }
    },
    "steps": [
        {
            "window": "t",
            "on": ["k"],
            "last": "9s",
            "take": {f"{call}_{name}": f"{call}({name})" for call in ("sum", "mean", "stddev") for name in "nide"},
        }
    ],
}  # fmt: skip


def test_whole_numbers_and_decimals_are_summed_exactly_and_rounded_once(spark: SparkSession) -> None:
    dice, table, sizes = random.Random(4), [], (1, 2, 3, 40, 700)
    for size in sizes:
        for i in range(size):
            # small ones beside large ones: a mean by way of doubles would lose them
            number = dice.choice((1, -1, 2**53 + 1, 2**62 // size, -(2**62) // size, dice.randrange(-(10**6), 10**6)))
            amount = Decimal(dice.randrange(-(10**37), 10**37)).scaleb(-10)
            cents = Decimal(dice.randrange(-(10**9) + 1, 10**9)).scaleb(-4)
            row = {"n": number, "i": dice.randrange(-128, 128), "d": amount, "e": cents}
            table.append({"k": f"{size}", "seen": NOON + i, **row})
    python = {name: (lambda row, name=name: row[name]) for name in "nide"}
    world = world_of(WHOLE, tables={"t": table}, python=python)
    rows = [{"k": f"{size}", "at": NOON + SECOND} for size in sizes]

    found = transformed(spark, rows, world=world)

    assert differing(found, expected(rows, world=world), by=["k"]) == []
