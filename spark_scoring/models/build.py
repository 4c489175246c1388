"""What a model reads of the wide table, with a sample of it: names, types, categories, feature code."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import pandas as pd
import pyarrow as pa

from spark_scoring.errors import (
    inputs_not_in_wide,
    nested_feature,
    sample_lacks,
    sample_too_small,
    sample_type,
    wrong_type,
)
from spark_scoring.models.contract import Categories, Feature, Inputs
from spark_scoring.models.frames import arrow_type, is_float_for_pandas, spark_type, to_pandas
from spark_scoring.models.laws import check_row_local, columns_read
from spark_scoring.models.prepare import FeatureCode
from spark_scoring.spec.types import is_nested
from spark_scoring.spec.wide import AsOf, Lookup, WideTable

LEAST_SAMPLE = 50
Sample: TypeAlias = pa.Table | pd.DataFrame


def check_given(*, wide: object, sample: object) -> None:
    """Nothing, if these are a wide table and rows of it, and not what one has beside them, such as their paths.

    Raises: ConfigError.
    """
    if not isinstance(wide, WideTable):
        expected = "a WideTable, as WideTable.load(path) gives it"
        raise wrong_type("package: wide", given=_shown(wide), expected=expected)
    if not isinstance(sample, pa.Table | pa.RecordBatch | pd.DataFrame):
        expected = "rows in memory, as frame.limit(20_000).toArrow() gives them of a Spark DataFrame, or pandas'"
        raise wrong_type("package: sample", given=_shown(sample), expected=expected)


def _shown(given: object) -> str:
    kind = type(given)
    return f"the text '{given}'" if isinstance(given, str) else f"a {kind.__module__}.{kind.__qualname__}"


def inputs_for(names: Sequence[str], *, wide: WideTable, sample: Sample, prepare: FeatureCode | None = None) -> Inputs:
    """What a model that reads these columns gets, matched with wide table and sample, by name without case.

    Behind feature code the names are those of the columns that it makes; which ones of the wide table it reads is
    found out by leaving each out. It is given none that no feature can be, such as a nested one.

    Raises: ConfigError if a column is missing in one of the two, has no type that a feature can have, if
        there are too few rows, or if the feature code does not make each row of itself alone.
    """
    if len(sample) < LEAST_SAMPLE:
        raise sample_too_small(len(sample), least=LEAST_SAMPLE)
    if prepare is None:
        batch = _batch(names, wide=wide, sample=sample)
        features, categories = _features(batch), _categories(sample, names)
        return Inputs(
            features=features, sample=batch, model_features=features, model_sample=batch, categories=categories
        )
    return _prepared(names, wide=wide, sample=sample, prepare=prepare)


def _prepared(names: Sequence[str], *, wide: WideTable, sample: Sample, prepare: FeatureCode) -> Inputs:
    prepare.load()  # a slip in its name is told before the sample is looked into
    known, declared = {name.lower() for name in _names(sample)}, _declared_types(wide)
    there = [name for name in _known(wide) if name.lower() in known]
    plain = [name for name in there if _is_plain(declared.get(name.lower()) or spark_type(_column(sample, name).type))]
    whole = _batch(plain, wide=wide, sample=sample)
    batch = whole.select(columns_read(prepare, whole, makes=names))
    made = prepare.load()(to_pandas(batch))
    arrays = [_typed(name, _column(made, name), declared={}, where="prepare") for name in names]
    model_sample = pa.RecordBatch.from_arrays(arrays, names=list(names))
    features = _features(model_sample)
    read = _features(batch)
    check_row_local(prepare, batch, read=read, features=features)
    return Inputs(
        features=read,
        sample=batch,
        model_features=features,
        model_sample=model_sample,
        categories=_categories(made, names),
    )


def _batch(names: Sequence[str], *, wide: WideTable, sample: Sample) -> pa.RecordBatch:
    if missing := _missing(names, _known(wide)):
        raise inputs_not_in_wide(wide.name, missing=missing, known=_known(wide))
    if missing := _missing(names, _names(sample)):
        raise sample_lacks(missing, known=_names(sample))
    declared = _declared_types(wide)
    arrays = [_typed(name, _column(sample, name), declared=declared) for name in names]
    return pa.RecordBatch.from_arrays(arrays, names=list(names))


def _features(batch: pa.RecordBatch) -> tuple[Feature, ...]:
    return tuple(
        Feature(name=field.name, type=str(spark_type(field.type)), as_floats=is_float_for_pandas(column))
        for field, column in zip(batch.schema, batch.columns, strict=True)
    )


def _categories(sample: Sample, names: Sequence[str]) -> tuple[Categories, ...]:
    """Of the columns that are pandas categoricals: the training dtype, if the sample has it."""
    if not isinstance(sample, pd.DataFrame):
        return ()
    types = {name: sample.dtypes[_given(sample, name)] for name in names}
    return tuple(
        Categories(name=name, values=tuple(kind.categories.tolist()))
        for name, kind in types.items()
        if isinstance(kind, pd.CategoricalDtype)
    )


def _known(wide: WideTable) -> tuple[str, ...]:
    return (*(column.name for column in wide.rows.columns), *wide.columns_added())


def _names(sample: Sample) -> list[str]:
    return [str(name) for name in (sample.columns if isinstance(sample, pd.DataFrame) else sample.column_names)]


def _given(sample: Sample, name: str) -> str:
    return next(known for known in _names(sample) if known.lower() == name.lower())


def _missing(names: Iterable[str], known: Iterable[str]) -> list[str]:
    lower = {str(name).lower() for name in known}
    return [name for name in names if name.lower() not in lower]


def _declared_types(wide: WideTable) -> dict[str, str]:
    """Types that the definition tells without Spark: the rows' own columns and those taken from tables."""
    types = {column.name.lower(): column.type for column in wide.rows.columns}
    for step in wide.steps:
        if isinstance(step, Lookup | AsOf):
            columns = {column.name.lower(): column.type for column in wide.table(step.table).columns}
            types.update({new.lower(): columns[name.lower()] for new, name in step.take})
    return types


def _column(sample: Sample, name: str) -> pa.Array:
    given = _given(sample, name)
    try:
        column = pa.array(sample[given], from_pandas=True) if isinstance(sample, pd.DataFrame) else sample[given]
    except pa.ArrowException:
        raise sample_type(name, expected="values of one type") from None
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    whole = whole.dictionary_decode() if pa.types.is_dictionary(whole.type) else whole
    return whole.cast(pa.int64()) if pa.types.is_unsigned_integer(whole.type) else whole


def _is_plain(type_name: str | None) -> bool:
    """Whether a feature can have the type."""
    return type_name is not None and not is_nested(type_name)


def _typed(name: str, column: pa.Array, *, declared: Mapping[str, str], where: str = "sample") -> pa.Array:
    wanted = declared.get(name.lower()) or spark_type(column.type)
    if wanted is None or not _is_plain(wanted):
        raise nested_feature(name, given=wanted or str(column.type), where=where)
    try:
        return column.cast(arrow_type(wanted))
    except pa.ArrowException:
        raise sample_type(name, expected=wanted) from None
