"""Arrow to pandas keeps every value, whatever rows share the table."""

import datetime
import decimal
import math
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_scoring.models.contract import Feature
from spark_scoring.models.frames import arrow_type, spark_type, to_arrow, to_pandas

INSTANTS = (datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES = {
    "bigint": INT64,
    "int": st.integers(-(2**31), 2**31 - 1),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "string": st.text(st.sampled_from("aÜ𝄞\0 ")),
    "decimal(38,4)": st.decimals(-(10**20), 10**20, places=4),
    "date": st.dates(datetime.date(1, 1, 1)),
    "timestamp": st.datetimes(*INSTANTS, timezones=st.just(datetime.UTC)),
    "timestamp_ntz": st.datetimes(*INSTANTS),
}
COLUMNS = st.sampled_from(sorted(VALUES)).flatmap(
    lambda name: st.tuples(st.just(name), st.lists(st.none() | VALUES[name], max_size=8))
)


def plain(value: Any) -> Any:
    """The value as Python writes it, None for whatever pandas means by missing."""
    return None if pd.isna(value) else value.to_pydatetime() if isinstance(value, pd.Timestamp) else value


@settings(deadline=None)
@given(COLUMNS)
def test_every_value_arrives(column: tuple[str, list[Any]]) -> None:
    name, values = column
    frame = to_pandas(pa.table({"x": pa.array(values, arrow_type(name))}))
    assert [plain(value) for value in frame["x"].tolist()] == values


@settings(deadline=None)
@given(st.data(), st.integers(0, 4), st.lists(st.sampled_from(sorted(VALUES)), max_size=6))
def test_columns_keep_their_places_and_values_beside_others(data: st.DataObject, rows: int, kinds: list[str]) -> None:
    def drawn(kind: str) -> pa.Array:
        return pa.array(data.draw(st.lists(st.none() | VALUES[kind], min_size=rows, max_size=rows)), arrow_type(kind))

    table = pa.table({"n": pa.array([2**53 + 1, None] * rows), "": pa.array([0.5] * 2 * rows)})
    table = table.slice(0, rows)
    for i, kind in enumerate(kinds):
        table = table.add_column(i % 2, f"c{i}", drawn(kind))
    frame = to_pandas(table)
    assert list(frame) == table.column_names
    assert {name: [plain(value) for value in frame[name].tolist()] for name in frame} == table.to_pydict()


@settings(deadline=None)
@given(COLUMNS, st.integers(0, 8))
def test_a_cut_changes_no_value(column: tuple[str, list[Any]], cut: int) -> None:
    name, values = column
    table = pa.table({"x": pa.array(values, arrow_type(name))})
    parts = [*to_pandas(table.slice(0, cut))["x"].tolist(), *to_pandas(table.slice(cut))["x"].tolist()]
    assert [plain(value) for value in parts] == [plain(value) for value in to_pandas(table)["x"].tolist()]


@settings(deadline=None)
@given(COLUMNS)
def test_there_and_back(column: tuple[str, list[Any]]) -> None:
    name, values = column
    batch = pa.record_batch({"x": pa.array(values, arrow_type(name))})
    assert to_arrow(to_pandas(batch), (Feature(name="x", type=name),)).to_pydict() == batch.to_pydict()


@pytest.mark.parametrize("name", sorted(VALUES))
def test_types_have_one_name(name: str) -> None:
    assert spark_type(arrow_type(name)) == name


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (pa.array([1, 2], pa.int8()), "int64"),
        (pa.array([1, None], pa.int32()), "float64"),
        (pa.array([2**53 + 1, None]), "Int64"),
        (pa.array([None, None], pa.int64()), "float64"),
        (pa.array([True, False]), "bool"),
        (pa.array([True, None]), "object"),
        (pa.array(["a", None]), "object"),
        (pa.array(["a", "a"]).dictionary_encode(), "object"),
        (pa.array([decimal.Decimal("1.10")]), "object"),
        (pa.array([0], pa.timestamp("us", "UTC")), "datetime64[us, UTC]"),
        (pa.array([0], pa.timestamp("us", "Europe/Berlin")), "datetime64[us, UTC]"),
        (pa.array([0], pa.date32()), "object"),
    ],
)
def test_dtypes(array: pa.Array, dtype: str) -> None:
    assert str(to_pandas(pa.table({"x": array}))["x"].dtype) == dtype


def test_null_and_nan_are_one_number_for_floats() -> None:
    found = to_pandas(pa.table({"x": pa.array([None, math.nan, 1.0])}))["x"].tolist()
    assert [math.isnan(found[0]), math.isnan(found[1]), found[2]] == [True, True, 1.0]
