"""What an expert calls for a batch: the library's own predictor, on one thread, from Arrow by the shortest way."""

from collections.abc import Callable
from functools import cache

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
from threadpoolctl import threadpool_limits

Kernel = Callable[[pa.RecordBatch], np.ndarray]


@cache
def kernel(kind: str, path: str) -> Kernel:
    """The probability of the second class for the feature columns; loaded once per process."""
    threadpool_limits(1)
    model = joblib.load(f"{path}/model.joblib")
    if kind == "lightgbm":
        booster = model.booster_
        return lambda batch: booster.predict(_matrix(batch), num_threads=1)
    if kind == "xgboost":
        booster = model.get_booster()
        booster.set_param({"nthread": 1})
        return lambda batch: booster.inplace_predict(_matrix(batch))
    if kind == "logistic":
        weights, start = model.coef_[0], model.intercept_[0]
        return lambda batch: 1 / (1 + np.exp(-(_matrix(batch) @ weights + start)))
    if kind in ("hist", "forest"):
        return lambda batch: model.predict_proba(_matrix(batch))[:, 1]
    return lambda batch: model.predict_proba(batch.to_pandas())[:, 1]


@cache
def frame_kernel(kind: str, path: str) -> Callable[[pd.DataFrame], np.ndarray]:
    """The same from a DataFrame, as one writes it with pandas."""
    threadpool_limits(1)
    model = joblib.load(f"{path}/model.joblib")
    if kind == "lightgbm":
        return lambda frame: model.booster_.predict(frame, num_threads=1)
    return lambda frame: model.predict_proba(frame)[:, 1]


def _matrix(batch: pa.RecordBatch) -> np.ndarray:
    return np.stack([column.to_numpy(zero_copy_only=False) for column in batch.columns], axis=1)
