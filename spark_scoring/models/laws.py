"""Feature code must make each row of itself alone: shown on the sample when a model is packaged."""

import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from spark_scoring.errors import not_row_local, prepare_fails, prepare_lacks
from spark_scoring.models.contract import Feature, FeatureError
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.prepare import Prepare, run

ALONE = 50
PARTS = (2, 3, 7, 64)


def check_row_local(prepare: Prepare, sample: pa.RecordBatch, features: tuple[Feature, ...]) -> None:
    """Nothing, if the sample has the same rows whole and again, in any pieces, row by row, and in another order.

    Raises: ConfigError that names the first column that differs.
    """
    whole = _run(prepare, sample, features)
    _same(whole, _run(prepare, sample, features), law="run a second time")
    for parts in _cuts(sample.num_rows):
        pieces = [_run(prepare, sample.slice(start, stop - start), features) for start, stop in parts]
        rows = whole.slice(0, parts[-1][1])
        _same(rows, pa.Table.from_batches(pieces).combine_chunks().to_batches()[0], law="cut into pieces")
    order = pa.array(np.random.default_rng(0).permutation(sample.num_rows))
    _same(whole.take(order), _run(prepare, sample.take(order), features), law="in another order")
    turned = pa.array(np.arange(sample.num_rows)[::-1])
    _same(whole.take(turned), _run(prepare, sample.take(turned), features), law="in another order")


def _cuts(rows: int) -> Iterator[list[tuple[int, int]]]:
    yield [(row, row + 1) for row in range(min(rows, ALONE))]
    for count in PARTS:
        bounds = np.linspace(0, rows, count + 1).astype(int).tolist()
        yield [(start, stop) for start, stop in pairwise(bounds) if stop > start]


def _run(prepare: Prepare, batch: pa.RecordBatch, features: tuple[Feature, ...]) -> pa.RecordBatch:
    try:
        return run(prepare, batch, features)
    except FeatureError as error:
        raise prepare_fails(rows=batch.num_rows, reason=f"{error}: {error.__cause__}") from error


def _same(expected: pa.RecordBatch, found: pa.RecordBatch, *, law: str) -> None:
    for name in expected.schema.names:
        if not expected.column(name).equals(found.column(name)):
            raise not_row_local(name, law=law)


def columns_read(prepare: Prepare, sample: pa.RecordBatch, *, makes: Sequence[str]) -> list[str]:
    """The columns of the sample without which the feature code fails or says something else.

    Raises: ConfigError: it raises on the whole sample, or does not make what the model reads.
    """
    whole = _made(prepare, sample, makes)
    if isinstance(whole, Exception):
        raise prepare_fails(rows=sample.num_rows, reason=f"{type(whole).__name__}: {whole}") from whole
    if missing := [name for name in makes if name not in whole]:
        raise prepare_lacks(missing, known=tuple(whole))
    names = list(sample.schema.names)
    needed = [name for name in names if not _equal(_made(prepare, sample.drop_columns([name]), makes), whole)]
    return needed if _equal(_made(prepare, sample.select(needed), makes), whole) else names


def _made(prepare: Prepare, sample: pa.RecordBatch, makes: Sequence[str]) -> "dict[str, pa.Array] | Exception":
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = prepare(to_pandas(sample))
        return {str(name): pa.array(frame[name], from_pandas=True) for name in frame.columns if str(name) in makes}
    except Exception as error:  # noqa: BLE001 - foreign code may raise anything
        return error


def _equal(found: "dict[str, pa.Array] | Exception", whole: dict[str, pa.Array]) -> bool:
    return isinstance(found, dict) and found.keys() == whole.keys() and all(found[n].equals(whole[n]) for n in whole)
