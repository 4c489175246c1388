"""Arrow columns as one matrix of doubles, the food of tree libraries: null is NaN, a category is its code."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_scoring.errors import feature_unfit, model_contract
from spark_scoring.models.contract import Categories, Feature, ModelSpec
from spark_scoring.models.frames import arrow_type

NUMBERS = ("boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal")


def matrix(batch: pa.RecordBatch, codes: Mapping[str, pa.Array]) -> npt.NDArray[np.float64]:
    """One row per row, one column per column; a category that is not in `codes` is missing."""
    found = np.empty((batch.num_rows, batch.num_columns))
    for place, name in enumerate(batch.schema.names):
        column = batch.column(place)
        found[:, place] = numbers(pc.index_in(column, value_set=codes[name]) if name in codes else column)
    return found


def numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    """The column as doubles, null as NaN."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    elif pa.types.is_decimal(column.type):
        column = rounded(column)
    values: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
    return values


def rounded(decimals: pa.Array) -> pa.Array:
    """The doubles nearest to decimals, by their texts: of Arrow's own cast up to every third is the one beside it."""
    return decimals.cast(pa.string()).cast(pa.float64())


def codes_of(spec: ModelSpec) -> dict[str, pa.Array]:
    """The categories by input, in the type that the input arrives in."""
    types = {feature.name: arrow_type(feature.type) for feature in spec.inputs}
    return {one.name: pa.array(one.values).cast(types[one.name]) for one in spec.categories}


def check_numbers(runtime: str, features: Sequence[Feature], categories: Sequence[Categories]) -> None:
    """Nothing, if every feature is a number or has categories of a type it can be compared with.

    Raises: ConfigError.
    """
    known = {one.name: one for one in categories}
    for feature in features:
        if feature.name in known:
            _comparable(runtime, feature, known[feature.name])
        elif feature.type.partition("(")[0] not in NUMBERS:
            raise feature_unfit(runtime, name=feature.name, given=feature.type, wanted="a number, or a category")


def _comparable(runtime: str, feature: Feature, categories: Categories) -> None:
    try:
        pa.array(categories.values).cast(arrow_type(feature.type))
    except pa.ArrowException:
        wanted = f"as in training, where it was one of {categories.values[:3]}"
        raise feature_unfit(runtime, name=feature.name, given=feature.type, wanted=wanted) from None


def check_names(spec: ModelSpec, known: Sequence[str] | None) -> None:
    """Nothing, if the model that was loaded reads what its contract says, by name.

    Raises: RunError.
    """
    names = [feature.name for feature in spec.inputs]
    if known is not None and list(known) != names:
        raise model_contract(spec.file, reads=known, contract=names)
