"""Laws: whatever a library learns, its compiled form says the same wherever a decision changes."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lightgbm
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models_data import wide_rows
from pyspark.sql import SparkSession
from runtime_models import native_frame, packaged, target
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingRegressor, RandomForestRegressor

from spark_scoring.models.compiled import choose, forest, probes
from spark_scoring.models.compiled.compile import compiled
from spark_scoring.models.compiled.operations import Ints
from spark_scoring.models.compiled.ways import Bits
from spark_scoring.models.frames import to_pandas

SEEDS = st.integers(0, 2**16)
LAW = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# whole numbers near zero, so that limits and values meet, and gaps
GRIDS = st.sampled_from([0.0, 1.0, 0.25])


def rows_of(seed: int, grid: float) -> tuple[pa.Table, pd.DataFrame]:
    """Wide rows and the native frame of them; a grid makes equal values frequent."""
    rows = wide_rows(300, seed=seed)
    if grid:
        distance = pa.array(np.round(rows["distance"].to_numpy() / grid) * grid, from_pandas=True)
        rows = rows.set_column(rows.schema.get_field_index("distance"), "distance", distance)
    return rows, native_frame(rows)


def fitting(depth: Ints, leaves: Ints, places: Ints) -> Bits:
    """Leaves all at once wherever that is possible, whether or not it takes less time."""
    return min((bits for bits in (Bits.HALF, Bits.WHOLE) if bits >= leaves.max()), default=Bits.NONE)


def walked(depth: Ints, leaves: Ints, places: Ints) -> Bits:
    return Bits.NONE


WAYS = st.sampled_from([fitting, walked])


def differences(spark: SparkSession, model: Any, sample: Any, way: Any) -> str:
    with tempfile.TemporaryDirectory() as folder, patch.object(forest, "bits_of", way):
        package = packaged(model, Path(folder), sample=sample)
        form = compiled(package)
        asked = probes.probes(form, package.features, pq.read_table(package.golden))
        return choose.compared(spark, package, form, pa.Table.from_batches([asked])).difference


@LAW
@given(
    seed=SEEDS,
    grid=GRIDS,
    way=WAYS,
    options=st.fixed_dictionaries(
        {
            "num_leaves": st.integers(2, 40),
            "use_missing": st.booleans(),
            "zero_as_missing": st.booleans(),
            "max_cat_to_onehot": st.sampled_from([1, 4]),
            "objective": st.sampled_from(["regression", "binary", "multiclass"]),
            "sigmoid": st.sampled_from([1.0, 0.3]),
        }
    ),
)
def test_lightgbm(spark: SparkSession, seed: int, grid: float, way: Any, options: Mapping[str, Any]) -> None:
    rows, frame = rows_of(seed, grid)
    classes = {"regression": 0, "binary": 2, "multiclass": 3}[options["objective"]]
    kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    model = kind(n_estimators=7, verbose=-1, min_child_samples=3, min_data_per_group=1, **options)
    model.fit(frame, target(rows, classes))
    assert differences(spark, model, to_pandas(rows)[["id", "at"]].join(frame), way) == ""


@LAW
@given(
    seed=SEEDS,
    grid=GRIDS,
    way=WAYS,
    options=st.fixed_dictionaries(
        {
            "max_depth": st.integers(1, 9),
            "max_cat_to_onehot": st.sampled_from([1, 4]),
            "objective": st.sampled_from(["reg:squarederror", "binary:logistic", "multi:softprob", "reg:gamma"]),
            "base_score": st.sampled_from([None, 0.3]),
            "num_parallel_tree": st.integers(1, 2),
        }
    ),
)
def test_xgboost(spark: SparkSession, seed: int, grid: float, way: Any, options: Mapping[str, Any]) -> None:
    rows, frame = rows_of(seed, grid)
    classes = {"binary:logistic": 2, "multi:softprob": 3}.get(options["objective"], 0)
    kind = xgboost.XGBClassifier if classes else xgboost.XGBRegressor
    wanted = target(rows, classes)
    model = kind(n_estimators=7, enable_categorical=True, **options)
    model.fit(frame, wanted.str[-1].astype(int) if classes else np.abs(wanted) + 0.1)
    assert differences(spark, model, to_pandas(rows)[["id", "at"]].join(frame), way) == ""


@LAW
@given(
    seed=SEEDS,
    grid=GRIDS,
    way=WAYS,
    kind=st.sampled_from([ExtraTreesClassifier, RandomForestRegressor, HistGradientBoostingRegressor]),
    leaves=st.integers(2, 60),
)
def test_scikit_learn(spark: SparkSession, seed: int, grid: float, way: Any, kind: Any, leaves: int) -> None:
    rows, frame = rows_of(seed, grid)
    size = {"max_iter": 7} if kind is HistGradientBoostingRegressor else {"n_estimators": 7}
    classes = 3 if kind is ExtraTreesClassifier else 0
    model = kind(max_leaf_nodes=leaves, random_state=seed, **size)
    model.fit(frame[["distance", "seats"]], target(rows, classes))
    assert differences(spark, model, rows, way) == ""
