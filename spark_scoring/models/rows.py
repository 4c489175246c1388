"""Which parts of a scikit-learn model see only the row, so that they may be given many at once.

Scaling, imputing and encoding are done cell by cell, and trees compare and add in one order: their bits do not depend
on the number of rows. A matrix product's do, so what comes behind gets blocks of one length.
"""

from collections.abc import Container, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from spark_scoring.models.blocks import BLOCK
from spark_scoring.models.contract import Feature, Outputs, scattered
from spark_scoring.models.describe import TREES
from spark_scoring.models.matrix import numbers

CELLS = frozenset({
    "Binarizer", "MaxAbsScaler", "MinMaxScaler", "OneHotEncoder", "OrdinalEncoder", "RobustScaler", "SimpleImputer",
    "StandardScaler",
})  # fmt: skip
LINEAR = frozenset({
    "ElasticNet", "Lasso", "LinearRegression", "LogisticRegression", "LogisticRegressionCV", "Ridge", "RidgeCV",
})  # fmt: skip
WHOLE = ("tinyint", "smallint", "int", "bigint")
Inputs: TypeAlias = Any


def cell_by_cell(prepare: Any) -> bool:
    """Whether the steps in front of a model, if there are any, work on each cell alone."""
    if prepare is None:
        return True
    kind = type(prepare)
    if not kind.__module__.startswith("sklearn."):
        return False
    if kind.__name__ == "Pipeline":
        return all(cell_by_cell(step) for _, step in prepare.steps)
    if kind.__name__ == "ColumnTransformer":
        return all(_is_cells(step) for _, step, _ in prepare.transformers_)
    return kind.__name__ in CELLS


def _is_cells(step: Any) -> bool:
    if isinstance(step, str):  # drop, passthrough
        return True
    # what 'passthrough' becomes when it is fitted
    nothing = type(step).__name__ == "FunctionTransformer" and step.func is None
    return nothing or cell_by_cell(step)


def is_any_of(model: Any, names: Container[str]) -> bool:
    """Whether the model is of one of these classes of scikit-learn, not of a subclass, which may do what it likes."""
    return type(model).__module__.startswith("sklearn.") and type(model).__name__ in names


def row_by_row(model: Any) -> bool:
    """Whether the model itself may be given any number of rows."""
    return is_any_of(model, TREES)


def reads_doubles(model: Any, features: Sequence[Feature]) -> bool:
    """Whether the model makes doubles of its columns, as we can without a DataFrame for each block."""
    # one that was trained on pandas' categories takes its columns apart by name
    known = (row_by_row(model) and getattr(model, "_preprocessor", None) is None) or is_any_of(model, LINEAR)
    types = {feature.type for feature in features}
    return known and "double" in types <= {"double", *WHOLE}


def doubles(batch: pa.RecordBatch) -> npt.NDArray[np.float64]:
    """One row per row, column after column in memory, as NumPy makes it of a DataFrame."""
    values = np.empty((batch.num_columns, batch.num_rows))
    for place, column in enumerate(batch.columns):
        values[place] = numbers(column)
    return values.T


def blocks_of(inputs: Inputs) -> Iterator[Inputs]:
    """Blocks of `BLOCK` rows, the last one filled by repeating its last row."""
    rows = inputs.shape[0]
    for start in range(0, rows, BLOCK):
        if start + BLOCK <= rows:
            yield _alone(inputs.iloc[start : start + BLOCK] if _is_frame(inputs) else inputs[start : start + BLOCK])
        else:
            places = np.minimum(np.arange(start, start + BLOCK), rows - 1)
            yield _laid_out(inputs.iloc[places] if _is_frame(inputs) else inputs[places], as_in=inputs)


def _is_frame(inputs: Inputs) -> bool:
    return isinstance(inputs, pd.DataFrame)


def _alone(block: Inputs) -> Inputs:
    """Contiguous in memory: what a product does may depend on it."""
    if isinstance(block, np.ndarray) and not block.flags.c_contiguous:
        return np.asfortranarray(block)
    return block


def _laid_out(block: Inputs, *, as_in: Inputs) -> Inputs:
    """Rows that were picked, in the same order in memory as those that were cut."""
    if isinstance(block, np.ndarray):
        return np.ascontiguousarray(block) if as_in.flags.c_contiguous else np.asfortranarray(block)
    return block


def joined(parts: Sequence[Outputs], *, rows: int) -> Outputs:
    """The outputs of all blocks, without those of rows that were repeated."""
    return scattered(parts, [np.arange(start, min(start + BLOCK, rows)) for start in range(0, rows, BLOCK)])
