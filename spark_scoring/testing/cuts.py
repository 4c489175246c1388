"""The law of cuts for any pipeline: a row comes out the same, whichever rows are scored beside it."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame

from spark_scoring import errors
from spark_scoring.watch.bits import bits
from spark_scoring.wide.frames import column

MOST_PARTS = 5

Pipeline = Callable[[DataFrame], DataFrame]


def check_cuts(pipeline: Pipeline, rows: DataFrame, *, ways: int = 3, seed: int = 0) -> None:
    """Nothing, if the pipeline makes of the rows the same at once and in micro-batches, to the last bit.

    The rows are put into another order and cut into up to five parts, in so many ways; `seed` says in which. For rows
    that the driver can hold: they and what becomes of them are collected.

    Example: `check_cuts(lambda rows: score_rows(wide.transform(rows, tables), model), rows)`

    Raises: RunError: some rows become something else; it says how many and in which columns.
    """
    whole = pipeline(rows)
    names, expected = whole.columns, Counter(_texts(whole))
    for parts in _cuts(rows, ways=ways, seed=seed):
        found = Counter(text for part in parts for text in _texts(pipeline(part)))
        if found != expected:
            lost, columns = (expected - found).total(), _different(names, expected, found)
            raise errors.cut_changes(parts=len(parts), rows=lost, columns=columns, seed=seed)


def _cuts(rows: DataFrame, *, ways: int, seed: int) -> Iterator[list[DataFrame]]:
    table, schema, dice = rows.toArrow(), rows.schema, random.Random(seed)
    for _ in range(ways):
        order = dice.sample(range(table.num_rows), table.num_rows)
        places = sorted(dice.choices(range(table.num_rows + 1), k=dice.randrange(1, MOST_PARTS)))
        spans = zip([0, *places], [*places, table.num_rows], strict=True)
        parts = (table.take(pa.array(order[a:b], pa.int64())) for a, b in spans)
        yield [rows.sparkSession.createDataFrame(part, schema) for part in parts]


def _texts(frame: DataFrame) -> list[tuple[str, ...]]:
    each = [bits(column(name)).alias(str(number)) for number, name in enumerate(frame.columns)]
    return [tuple(row) for row in frame.select(*each).collect()]


def _different(names: Sequence[str], expected: Counter[tuple[str, ...]], found: Counter[tuple[str, ...]]) -> list[str]:
    """The columns that do not hold the same values in both."""
    return [
        name
        for at, name in enumerate(names)
        if Counter(row[at] for row in expected.elements()) != Counter(row[at] for row in found.elements())
    ]
