"""Spans against sets of whole numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from spark_scoring.watch.spans import left_out, merged

SPANS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=5)


def numbers(spans: list[tuple[int, int]]) -> set[int]:
    return {number for start, until in spans for number in range(start, until)}


@given(spans=SPANS, others=SPANS)
def test_what_is_covered_and_what_is_left_out(spans: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    assert numbers(merged(spans)) == numbers(spans)
    assert numbers(left_out(spans, others)) == numbers(spans) - numbers(others)
    for found in (merged(spans), left_out(spans, others)):
        assert found == sorted(found) and all(a < b for a, b in found)
        assert all(a[1] < b[0] for a, b in pairwise(found))
