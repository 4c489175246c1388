"""What a model sees: values as they are, whatever stands beside them and wherever the worker runs."""

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from sklearn.base import BaseEstimator, RegressorMixin

from spark_scoring import score_rows
from spark_scoring.models import flavor
from spark_scoring.models.frames import to_pandas
from spark_scoring.spec.wide import WideTable

# Berlin's clocks went back at 01:00 UTC: 00:30 and 01:30 UTC are both 02:30 there
FOLD = [datetime(2024, 10, 27, hour, 30, 0, 123456, tzinfo=UTC) for hour in (0, 1)]
TYPES = {
    "whole": "bigint",
    "small": "int",
    "money": "decimal(38,10)",
    "at": "timestamp not null",
    "local": "timestamp_ntz",
    "night": "boolean",
    "name": "string",
    "day": "date",
    "number": "double",
    "short": "float",
}
VALUES: dict[str, list[Any]] = {
    "whole": [2**53 + 1, None, -(2**63), 2**63 - 1],
    "small": [7, None, -1, 0],
    "money": [Decimal("1234567890123456789012345678.0123456789"), None, Decimal("0E-10"), Decimal("-0.1000000000")],
    "at": [*FOLD, datetime(1970, 1, 1, tzinfo=UTC), datetime(2024, 3, 31, 1, 30, tzinfo=UTC)],
    "local": [datetime(2024, 10, 27, 2, 30), None, datetime(1970, 1, 1), datetime(2024, 3, 31, 2, 30)],
    "night": [True, None, False, True],
    "name": ["", None, "Ü\u0000", "NaN"],
    "day": [date(1, 1, 1), None, date(9999, 12, 31), date(2024, 10, 27)],
    "number": [0.1 + 0.2, None, -0.0, 5e-324],
    "short": [float(np.float32(0.1)), None, -0.0, 1.0],
}
SEEN = {
    "whole": ["9007199254740993", None, "-9223372036854775808", "9223372036854775807"],
    "small": ["7.0", None, "-1.0", "0.0"],
    "money": ["1234567890123456789012345678.0123456789", None, "0E-10", "-0.1000000000"],
    "at": [
        "2024-10-27 00:30:00.123456+00:00", "2024-10-27 01:30:00.123456+00:00", "1970-01-01 00:00:00+00:00",
        "2024-03-31 01:30:00+00:00",
    ],
    "local": ["2024-10-27 02:30:00", None, "1970-01-01 00:00:00", "2024-03-31 02:30:00"],
    "night": ["True", None, "False", "True"],
    "name": ["", None, "Ü\u0000", "NaN"],
    "day": ["0001-01-01", None, "9999-12-31", "2024-10-27"],
    "number": ["0.30000000000000004", None, "-0.0", "5e-324"],
    "short": ["0.10000000149011612", None, "-0.0", "1.0"],
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def own_classes_travel() -> Iterator[None]:
    """Workers cannot import the tests."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(params=["America/New_York", "Europe/Berlin"])
def elsewhere(spark: SparkSession, request: pytest.FixtureRequest) -> Iterator[None]:
    """Workers on a host of another zone."""
    spark.sparkContext.environment["TZ"] = request.param
    yield
    del spark.sparkContext.environment["TZ"]


class Recorder(RegressorMixin, BaseEstimator):
    """Writes down what it is given."""

    def __init__(self, log: str = "") -> None:
        self.log = log

    def fit(self, frame: pd.DataFrame, target: Any = None) -> "Recorder":
        self.feature_names_in_ = list(frame.columns)
        return self

    def predict(self, frame: pd.DataFrame) -> Any:
        import time

        seen = {name: [None if pd.isna(one) else str(one) for one in frame[name].head(4)] for name in frame}
        kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
        pd.to_pickle((seen, kinds, time.tzname), self.log)
        return np.zeros(len(frame))


@pytest.mark.usefixtures("elsewhere")
def test_a_model_sees_the_values_that_the_rows_have(spark: SparkSession, tmp_path: Path) -> None:
    wide = WideTable.unpack(
        {"name": "exact", "rows": {"key": ["name"], "time": "at", "columns": TYPES}},
    )
    arrow = {
        "whole": pa.int64(), "small": pa.int32(), "money": pa.decimal128(38, 10), "at": pa.timestamp("us", "UTC"),
        "local": pa.timestamp("us"), "night": pa.bool_(), "name": pa.string(), "day": pa.date32(),
        "number": pa.float64(), "short": pa.float32(),
    }  # fmt: skip
    rows = pa.table({name: pa.array(VALUES[name], arrow[name]) for name in TYPES})
    sample = pa.concat_tables([rows] * 20)
    log = tmp_path / "seen"
    model = Recorder(str(log)).fit(to_pandas(sample))
    flavor.save_model(model, tmp_path / "recorder", wide=wide, sample=sample)
    log.unlink()
    # by file: createDataFrame takes every timestamp for an instant
    pq.write_table(rows, tmp_path / "rows.parquet")
    frame = spark.read.parquet(str(tmp_path / "rows.parquet")).coalesce(1)
    folder = str(tmp_path / "recorder")
    scored = {
        row["scores"][0]["score"] for row in score_rows(frame, [folder], registry="none", trust=[folder]).collect()
    }
    seen, kinds, zone = pd.read_pickle(log)
    assert scored == {0.0}
    assert {name: (values, SEEN[name]) for name, values in seen.items() if values != SEEN[name]} == {}
    assert zone[0] != "UTC"
    assert kinds == {
        "whole": "Int64", "small": "float64", "money": "object", "at": "datetime64[us, UTC]", "local": "datetime64[us]",
        "night": "object", "name": "object", "day": "object", "number": "float64", "short": "float32",
    }  # fmt: skip
