"""Wide rows and fitted models that the tests of `spark_scoring.models` share."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from spark_scoring.models.contract import Outputs
from spark_scoring.models.frames import to_pandas
from spark_scoring.spec.wide import WideTable

WIDE = WideTable.unpack(
    {
        "name": "trips",
        "rows": {
            "key": ["id"],
            "time": "at",
            "columns": {
                "id": "string not null",
                "at": "timestamp not null",
                "distance": "double",
                "seats": "bigint",
                "carrier": "string",
                "night": "boolean",
            },
        },
    }
)


def wide_rows(rows: int, *, seed: int = 0) -> pa.Table:
    """Rows of WIDE, about one value in ten null."""
    random = np.random.default_rng(seed)

    def holes() -> np.ndarray:
        return random.random(rows) < 0.1

    start = datetime(2024, 3, 31, tzinfo=UTC)
    return pa.table(
        {
            "id": [f"r{i}" for i in range(rows)],
            "at": pa.array([start + timedelta(minutes=i) for i in range(rows)], pa.timestamp("us", "UTC")),
            "distance": pa.array(random.normal(size=rows), mask=holes()),
            "seats": pa.array(random.integers(1, 200, rows), mask=holes()),
            "carrier": pa.array(random.choice(["AA", "BB", "Ü"], rows), mask=holes()),
            "night": pa.array(random.random(rows) < 0.5, mask=holes()),
        }
    )


def fitted(estimator: Any, rows: pa.Table, *, classes: int = 2) -> Pipeline:
    """The estimator behind imputing, scaling and one-hot encoding; 0 classes is a regression."""
    frame = to_pandas(rows)
    number = frame["distance"].fillna(0) + frame["seats"].fillna(0) / 100 + (frame["carrier"] == "Ü")
    target: Any = number if not classes else pd.qcut(number, classes, labels=False).map(lambda n: f"class {n}")
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["distance", "seats"]),
            ("texts", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["carrier"]),
        ]
    )
    return make_pipeline(columns, clone(estimator)).fit(frame, target)


def bits(values: Any) -> list[bytes]:
    return [np.float64(value).tobytes() for value in values]


def texts(outputs: Outputs) -> list[str | None]:
    """The labels as text."""
    return [outputs.names[place] if place >= 0 else None for place in outputs.label]
