"""Feature code and models must make each row of itself alone: shown on the sample when a model is packaged."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_scoring.errors import not_row_local, prepare_fails, prepare_lacks, scores_not_row_local
from spark_scoring.models.blocks import Scored
from spark_scoring.models.contract import Feature, FeatureError
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.prepare import FeatureCode, Prepare, run

ALONE, FEW = 50, 20
PARTS = (2, 3, 7, 64)


def check_row_local(
    code: FeatureCode, sample: pa.RecordBatch, *, read: Sequence[Feature], features: Sequence[Feature]
) -> None:
    """Nothing, if the sample has the same rows whole and again, in any pieces, row by row, and in another order.

    The code is loaded anew for each of them: what it keeps of its first call would make the later ones agree.

    Raises: ConfigError that names the first column that differs.
    """
    ask = partial(_run, read=read, features=features)
    prepare = code.load()
    whole = ask(prepare, sample)
    _same(whole, ask(prepare, sample), law="run a second time")
    for parts in _cuts(sample.num_rows):
        prepare = code.load()
        pieces = [ask(prepare, sample.slice(start, stop - start)) for start, stop in parts]
        rows = whole.slice(0, parts[-1][1])
        _same(rows, pa.Table.from_batches(pieces).combine_chunks().to_batches()[0], law="cut into pieces")
    places = np.arange(sample.num_rows)
    for order in (np.random.default_rng(0).permutation(places), places[::-1]):
        turned = pa.array(order)
        _same(whole.take(turned), ask(code.load(), sample.take(turned)), law="in another order")


def check_same_scores(score: Callable[[pa.RecordBatch], Scored], sample: pa.RecordBatch, whole: Scored) -> None:
    """Nothing, if each row of the sample has the same score, to the last bit, among any others.

    Raises: ConfigError: a model that looks at several rows at once.
    """
    turned = np.arange(sample.num_rows)[::-1]
    _same_bits(whole.score[turned], score(sample.take(pa.array(turned))).score)
    alone = [(row, row + 1) for row in range(min(sample.num_rows, FEW))]
    for start, stop in [*alone, *_pieces(sample.num_rows, FEW)]:
        _same_bits(whole.score[start:stop], score(sample.slice(start, stop - start)).score)


def _same_bits(expected: npt.NDArray[np.float64], found: npt.NDArray[np.float64]) -> None:
    both = np.isnan(expected) & np.isnan(found)
    differ = int(((expected.view(np.int64) != found.view(np.int64)) & ~both).sum())
    if differ:
        raise scores_not_row_local(rows=len(expected), differ=differ)


def _cuts(rows: int) -> Iterator[list[tuple[int, int]]]:
    yield [(row, row + 1) for row in range(min(rows, ALONE))]
    for count in PARTS:
        yield _pieces(rows, count)


def _pieces(rows: int, count: int) -> list[tuple[int, int]]:
    bounds = np.linspace(0, rows, count + 1).astype(int).tolist()
    return [(start, stop) for start, stop in pairwise(bounds) if stop > start]


def _run(
    prepare: Prepare, batch: pa.RecordBatch, *, read: Sequence[Feature], features: Sequence[Feature]
) -> pa.RecordBatch:
    try:
        return run(prepare, batch, read=read, features=features)
    except FeatureError as error:
        raise prepare_fails(rows=batch.num_rows, reason=f"{error}: {error.__cause__}") from error


def _same(expected: pa.RecordBatch, found: pa.RecordBatch, *, law: str) -> None:
    for name in expected.schema.names:
        if not expected.column(name).equals(found.column(name)):
            raise not_row_local(name, law=law)


def columns_read(code: FeatureCode, sample: pa.RecordBatch, *, makes: Sequence[str]) -> list[str]:
    """The columns of the sample without which the feature code fails or says something else.

    Raises: ConfigError: it raises on the whole sample, or does not make what the model reads.
    """
    prepare = code.load()
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
