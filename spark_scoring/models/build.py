"""The parts of a package that MLflow knows nothing of: contract, wide table, golden sample, baseline."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from spark_scoring.errors import (
    inputs_not_in_wide,
    nested_feature,
    sample_lacks,
    sample_not_scored,
    sample_too_small,
    sample_type,
)
from spark_scoring.models.blocks import Scored, score_blocks
from spark_scoring.models.cache import load_model_files
from spark_scoring.models.contract import Feature, ModelSpec
from spark_scoring.models.describe import classes_of, inputs_of, task_of, tolerance_of
from spark_scoring.models.frames import arrow_type, spark_type
from spark_scoring.models.package import BASELINE, GOLDEN, SPEC, WIDE
from spark_scoring.models.profile import profile
from spark_scoring.models.sklearn import libraries, trusted_types
from spark_scoring.spec.wide import AsOf, Lookup, WideTable

LEAST_SAMPLE = 50
GOLDEN_ROWS = 300


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The features of a model and a sample of their values, named and ordered as the model has them."""

    features: tuple[Feature, ...]
    sample: pa.RecordBatch


def inputs_for(model: Any, *, wide: WideTable, sample: pa.Table | pd.DataFrame) -> Inputs:
    """What the model reads, matched with the wide table and with a sample of its rows, by name without case.

    Raises: ConfigError if a column is missing in one of the two, has no type that a feature can have, or if
        there are too few rows.
    """
    names = inputs_of(model)
    known = (*(column.name for column in wide.rows.columns), *wide.columns_added())
    if missing := _missing(names, known):
        raise inputs_not_in_wide(wide.name, missing=missing, known=known)
    if missing := _missing(names, sample.columns if isinstance(sample, pd.DataFrame) else sample.column_names):
        raise sample_lacks(missing, known=_names(sample))
    if len(sample) < LEAST_SAMPLE:
        raise sample_too_small(len(sample), least=LEAST_SAMPLE)
    declared = _declared_types(wide)
    columns = {name: _column(sample, name) for name in names}
    typed = {name: _typed(name, column, declared=declared) for name, column in columns.items()}
    features = tuple(Feature(name=name, type=str(spark_type(array.type))) for name, array in typed.items())
    return Inputs(features=features, sample=pa.RecordBatch.from_arrays(list(typed.values()), names=list(names)))


def spec_of(model: Any, *, features: tuple[Feature, ...], file: str, serialization: str) -> ModelSpec:
    """The contract of a fitted scikit-learn model."""
    classes = classes_of(model)
    return ModelSpec(
        runtime="sklearn",
        file=file,
        serialization=serialization,
        features=features,
        task=task_of(classes),
        classes=classes,
        tolerance=tolerance_of(model),
        libraries=libraries(),
    )


def skops_types(model: Any) -> list[str] | None:
    """The types to trust if the model is kept as skops; None if it needs a pickle (own classes)."""
    import skops.io

    try:
        return trusted_types(skops.io.get_untrusted_types(data=skops.io.dumps(model)), type(model).__name__)
    except Exception:  # noqa: BLE001 - skops raises whatever an unknown object makes it raise
        return None


def write_parts(folder: Path, *, wide: WideTable, spec: ModelSpec, sample: pa.RecordBatch) -> None:
    """Write our files beside the model; the sample is scored by the model as it was read back from disk.

    Raises: ConfigError if less than half of the sample gets a score.
    """
    scored = score_blocks(sample, predict=load_model_files(folder, spec=spec))
    good = np.flatnonzero(~scored.failed)
    if 2 * len(good) < sample.num_rows:
        failed = sample.num_rows - len(good)
        raise sample_not_scored(sample.num_rows, failed=failed, detail=_commonest(scored))
    everything = _with_outputs(sample, scored)
    golden = everything.take(pa.array(good[np.unique(np.linspace(0, len(good) - 1, GOLDEN_ROWS).astype(int))]))
    (folder / SPEC).write_text(spec.dump(), "utf-8")
    (folder / WIDE).write_text(wide.dump(), "utf-8")
    (folder / BASELINE).write_text(json.dumps(profile(everything), indent=1) + "\n", "utf-8")
    pq.write_table(pa.Table.from_batches([golden]), folder / GOLDEN)


def _with_outputs(sample: pa.RecordBatch, scored: Scored) -> pa.RecordBatch:
    score = pa.array(scored.score, pa.float64(), mask=scored.failed)
    label = pa.array(scored.label, pa.string())
    return pa.RecordBatch.from_arrays([*sample.columns, score, label], names=[*sample.schema.names, "score", "label"])


def _commonest(scored: Scored) -> str:
    texts = [f"{reason} {detail or ''}".strip() for reason, detail in zip(scored.reason, scored.detail, strict=True)]
    failures = [text for text, reason in zip(texts, scored.reason, strict=True) if reason]
    return max(set(failures), key=failures.count)


def _names(sample: pa.Table | pd.DataFrame) -> list[str]:
    return [str(name) for name in (sample.columns if isinstance(sample, pd.DataFrame) else sample.column_names)]


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


def _column(sample: pa.Table | pd.DataFrame, name: str) -> pa.Array:
    given = next(known for known in _names(sample) if known.lower() == name.lower())
    try:
        column = pa.array(sample[given], from_pandas=True) if isinstance(sample, pd.DataFrame) else sample[given]
    except pa.ArrowException:
        raise sample_type(name, expected="values of one type") from None
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole.dictionary_decode() if pa.types.is_dictionary(whole.type) else whole


def _typed(name: str, column: pa.Array, *, declared: Mapping[str, str]) -> pa.Array:
    wanted = declared.get(name.lower()) or spark_type(column.type)
    if wanted is None or "<" in wanted:
        raise nested_feature(name, given=wanted or str(column.type))
    try:
        return column.cast(arrow_type(wanted))
    except pa.ArrowException:
        raise sample_type(name, expected=wanted) from None
