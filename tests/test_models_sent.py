"""Columns that travel to the workers in one array arrive as they were."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_scoring.models.frames import arrow_type
from spark_scoring.models.sent import NUMBERS, Sent

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "tinyint": st.integers(-(2**7), 2**7 - 1),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "float": st.floats(width=32),
    "double": st.floats(),
}


def sent_by_spark(columns: dict[str, pa.Array], sent: Sent) -> list[pa.Array]:
    """What Spark makes of the expressions: each number as a double, null where it is null."""
    rows = len(next(iter(columns.values())))
    lists = [
        [None if (one := columns[name][i].as_py()) is None else float(one) for name, _ in sent.numbers]
        for i in range(rows)
    ]
    numbers = [pa.array(lists, pa.list_(pa.float64()))] if sent.numbers else []
    return [*numbers, *(columns[name] for name in sent.others)]


def same(left: pa.Array, right: pa.Array) -> bool:
    if pa.types.is_floating(left.type):
        pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
        return left.type == right.type and all(a is b is None or np.array_equal(a, b, equal_nan=True) for a, b in pairs)
    return left.equals(right)


@given(st.data())
def test_every_value_arrives(data: st.DataObject) -> None:
    rows = data.draw(st.integers(0, 5))
    kinds = data.draw(st.lists(st.sampled_from([*VALUES, "bigint"]), min_size=1, max_size=5))
    values = {**VALUES, "bigint": st.integers(-(2**63), 2**63 - 1)}
    columns = {
        f"c{i}": pa.array(data.draw(st.lists(st.none() | values[kind], min_size=rows, max_size=rows)), arrow_type(kind))
        for i, kind in enumerate(kinds)
    }
    sent = Sent.of(columns, types={f"c{i}": kind for i, kind in enumerate(kinds)})
    found = sent.columns(sent_by_spark(columns, sent))
    assert set(found) == set(columns) and all(same(found[name], columns[name]) for name in columns)


def test_what_is_no_exact_double_travels_alone() -> None:
    types = {"a": "double", "n": "bigint", "b": "boolean", "d": "decimal(10,2)", "s": "string", "t": "timestamp"}
    sent = Sent.of(types, types=types)
    assert sent.expressions() == ["array(cast(`a` as double), cast(`b` as double))", "`n`", "`d`", "`s`", "`t`"]
    assert Sent.of(["s"], types=types).expressions() == ["`s`"]


@pytest.mark.parametrize("kind", sorted(NUMBERS))
def test_a_slice_of_an_array_is_read_from_its_start(kind: str) -> None:
    sent = Sent.of(["a", "b"], types={"a": kind, "b": kind})
    array = pa.array([[1, 1], [0, None], [1, 0]], pa.list_(pa.float64())).slice(1, 2)
    found = sent.columns([array])
    assert [float(one) for one in found["a"].to_pylist()] == [0, 1]
    assert found["b"].is_null().to_pylist() == [True, False]
