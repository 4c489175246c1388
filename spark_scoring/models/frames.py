"""Arrow to pandas, the one way there is: in training, in packaging, in every worker.

Values stay what they are. A bigint beside nulls is a float64 only where every value survives that, otherwise
pandas' nullable Int64; text, decimals and dates are Python objects with None for null; timestamps keep their
microseconds and are UTC. For floats null and NaN become one and the same, NaN: models that read frames know
no other missing number.

The dtype of a whole-number or boolean column follows the rows at hand, with or without nulls. A score must not: rows
are scored apart from those that would change their dtypes, and have the ones that they had when the model was packaged.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from spark_scoring.models.contract import Feature

EXACT = 2**53  # every whole number up to here has a float64 of its own
_ARROW = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")


def to_pandas(table: pa.Table | pa.RecordBatch) -> pd.DataFrame:
    """The table as a DataFrame with the same columns, values unchanged.

    >>> to_pandas(pa.table({"n": [2**53 + 1, None], "day": ["mon", None]}))
                      n   day
    0  9007199254740993   mon
    1              <NA>  None
    """
    columns = {name: _plain(_whole(table.column(name))) for name in table.schema.names}
    # all at once: columns of one type get one block of memory
    frame: pd.DataFrame = pa.table(columns).to_pandas(date_as_object=True, timestamp_as_object=False)
    for name, array in columns.items():
        if _is_beyond_doubles(array):
            missing = array.is_null().to_numpy(zero_copy_only=False)
            frame[name] = pd.arrays.IntegerArray(array.fill_null(0).to_numpy(), missing)
    return frame


def frame_of(batch: pa.RecordBatch, features: Sequence[Feature], *, nan_texts: bool = False) -> pd.DataFrame:
    """The features of rows that are `alike` as a DataFrame, in dtypes that each row would have by itself.

    With `nan_texts` a null text is NaN.
    """
    frame = to_pandas(batch)
    for feature in features:
        if nan_texts and feature.type == "string":
            frame[feature.name] = _with_nan(frame[feature.name])
        if feature.as_floats and feature.type == "boolean":
            frame[feature.name] = frame[feature.name].astype(object)
        elif feature.as_floats and not _is_beyond(batch.column(feature.name).cast(pa.int64())).any():
            frame[feature.name] = frame[feature.name].astype(np.float64)
    return frame


def alike(batch: pa.RecordBatch, features: Sequence[Feature]) -> list[npt.NDArray[np.intp]]:
    """The places of rows that pandas holds in the same dtypes, by their own values alone; all of them as a rule."""
    others = [other for feature in features if (other := _others(batch.column(feature.name), feature)) is not None]
    if not others:
        return [np.arange(batch.num_rows)]
    kinds = np.unique(np.stack(others, axis=1), axis=0, return_inverse=True)[1].ravel()
    return [np.flatnonzero(kinds == kind) for kind in range(kinds.max() + 1)]


def is_float_for_pandas(column: pa.Array) -> bool:
    """Whether pandas makes floats of whole numbers, or objects of booleans, as there are nulls among them."""
    if column.null_count in (0, len(column)) or not (
        pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)
    ):
        return False
    return not _is_beyond_doubles(_plain(column))


def _with_nan(texts: pd.Series) -> pd.Series:
    values = texts.to_numpy(dtype=object, copy=True)
    values[texts.isna().to_numpy()] = np.nan
    return pd.Series(values, index=texts.index, dtype=object)


def _others(column: pa.Array, feature: Feature) -> npt.NDArray[np.bool_] | None:
    """Of each row whether its value has another dtype than that of most rows; None if none has."""
    if not (pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)):
        return None
    if not feature.as_floats:
        return _mask(column.is_null()) if column.null_count else None
    beyond = pa.types.is_int64(column.type) and _is_beyond(column)
    return beyond if np.any(beyond) else None


def _is_beyond(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Which whole numbers a float64 need not have; a null is none of them."""
    return _mask(pc.or_(pc.less(column, -EXACT), pc.greater(column, EXACT)).fill_null(False))


def _mask(flags: pa.Array) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = flags.to_numpy(zero_copy_only=False)
    return found


def to_arrow(frame: pd.DataFrame, features: tuple[Feature, ...]) -> pa.RecordBatch:
    """The named columns of a DataFrame, in Arrow, with the types given; NaN in a column is null.

    Raises:
        pa.ArrowInvalid, pa.ArrowTypeError: a value does not fit the type.
    """
    arrays = [_array(frame[feature.name], arrow_type(feature.type)) for feature in features]
    return pa.RecordBatch.from_arrays(arrays, names=[feature.name for feature in features])


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type that Spark sends for a type of its own; KeyError for a nested one."""
    if found := _DECIMAL.fullmatch(name):
        return pa.decimal128(int(found[1]), int(found[2]))
    return _ARROW[name]


def spark_type(arrow: pa.DataType) -> str | None:
    """Spark's name for an Arrow type; None where no feature can have it."""
    if pa.types.is_decimal(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    if pa.types.is_timestamp(arrow):
        return "timestamp" if arrow.tz else "timestamp_ntz"
    if pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow):
        return "string"
    if pa.types.is_dictionary(arrow):
        return spark_type(arrow.value_type)
    return next((name for name, known in _ARROW.items() if known == arrow), None)


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _plain(array: pa.Array) -> pa.Array:
    if pa.types.is_integer(array.type):
        return array.cast(pa.int64())
    if pa.types.is_timestamp(array.type) and array.type.tz:
        return array.cast(pa.timestamp(array.type.unit, tz="UTC"))
    return array


def _is_beyond_doubles(array: pa.Array) -> bool:
    """Whether a column that pandas makes a float64 of, as it has nulls, has values for which there is none."""
    if not (pa.types.is_int64(array.type) and array.null_count):
        return False
    least, greatest = pc.min_max(array).as_py().values()
    return least is not None and (least < -EXACT or greatest > EXACT)


def _array(series: pd.Series, wanted: pa.DataType) -> pa.Array:
    array = _whole(pa.array(series, from_pandas=True))
    if array.null_count == len(array):
        return pa.nulls(len(array), wanted)
    if pa.types.is_decimal(wanted):
        return pa.array(series, type=wanted, from_pandas=True)
    if pa.types.is_timestamp(wanted) and wanted.tz and not array.type.tz:
        return array.cast(pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
    return array.cast(wanted)
