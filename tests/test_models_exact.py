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
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - IterativeImputer is there by it
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from spark_scoring import score_rows
from spark_scoring.errors import ConfigError
from spark_scoring.models import flavor
from spark_scoring.models.blocks import score_blocks
from spark_scoring.models.frames import spark_type, to_pandas
from spark_scoring.models.loaded import load_package
from spark_scoring.models.package import Package, read_package
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
        before = pd.read_pickle(self.log) if Path(self.log).exists() else []
        pd.to_pickle([*before, (seen, kinds, time.tzname)], self.log)
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
    assert scored == {0.0}
    # the row without a whole number is asked for by itself: beside it the others would be no whole numbers
    calls = [(seen, kinds) for seen, kinds, _ in pd.read_pickle(log)[-2:]]
    for (seen, kinds), rows_seen, whole in zip(calls, ([0, 2, 3], [1]), ("int64", "float64"), strict=True):
        expected = {name: [values[row] for row in rows_seen] for name, values in SEEN.items()}
        assert {name: values[: len(rows_seen)] for name, values in seen.items()} == expected
        assert kinds == {
            "whole": whole, "small": "float64", "money": "object", "at": "datetime64[us, UTC]",
            "local": "datetime64[us]", "night": "object", "name": "object", "day": "object", "number": "float64",
            "short": "float32",
        }  # fmt: skip
    assert {zone[0] for _, _, zone in pd.read_pickle(log)} != {"UTC"}


def packed(tmp_path: Path, model: Any, rows: pa.Table) -> Package:
    types = {name: str(spark_type(rows.schema.field(name).type)) for name in rows.schema.names}
    columns = {"id": "bigint", "at": "timestamp not null", **types}
    wide = WideTable.unpack({"name": "exact", "rows": {"key": ["id"], "time": "at", "columns": columns}})
    flavor.save_model(model, tmp_path / "model", wide=wide, sample=rows)
    return read_package(tmp_path / "model", uri="model")


def scores_of(package: Package, rows: pa.Table) -> Any:
    (batch,) = rows.combine_chunks().to_batches()
    return score_blocks(batch, predict=load_package(package).score, framed=package.spec.framed)


IDS = [2**53, 2**53 + 1, 2**60, 2**60 + 1, 5]
WHOLE: dict[str, tuple[Any, list[int]]] = {
    "squares that fit no bigint": (FunctionTransformer(np.square), [10**9 * i + 7 for i in range(60)]),
    "ids that fit no double": (OneHotEncoder(handle_unknown="ignore"), IDS * 12),
}


@pytest.mark.parametrize("case", WHOLE)
@pytest.mark.parametrize("gaps", [False, True], ids=["no null seen", "nulls seen"])
def test_a_null_beside_a_row_does_not_change_its_score(tmp_path: Path, case: str, gaps: bool) -> None:
    prepare, numbers = WHOLE[case]
    rows = pa.table({"n": pa.array([*numbers, *([None] * 5 if gaps else [])], pa.int64())})
    frame = to_pandas(rows)
    model = make_pipeline(clone(prepare), SimpleImputer(), Ridge(1e-6)).fit(frame, np.arange(len(frame)) % 7)
    package = packed(tmp_path, model, rows)
    alone = scores_of(package, rows.slice(0, 60)).score
    beside = scores_of(package, pa.table({"n": pa.array([None, *numbers], pa.int64())})).score[1:]
    assert alone.tobytes() == beside.tobytes()


def test_feature_code_sees_a_row_as_if_it_were_alone(tmp_path: Path) -> None:
    code = tmp_path / "texts.py"
    code.write_text("def run(frame):\n    return frame.assign(t=frame['n'].astype(str).str.len().astype(float))\n")
    rows = pa.table({"n": pa.array(range(60), pa.int64()), "t": pa.array(np.zeros(60))})
    model = LinearRegression().fit(pd.DataFrame({"t": [1.0, 2.0]}), [1.0, 2.0])
    wide = WideTable.unpack(
        {
            "name": "exact",
            "rows": {"key": ["id"], "time": "at", "columns": {"id": "int", "at": "timestamp not null", "n": "bigint"}},
        }
    )
    sample = rows.select(["n"])
    flavor.save_model(model, tmp_path / "model", wide=wide, sample=sample, prepare=f"{code}:run")
    package = read_package(tmp_path / "model", uri="model")
    found = scores_of(package, pa.table({"n": pa.array([10, None, 7], pa.int64())}))
    assert found.score.round(6).tolist() == [2.0, 3.0, 1.0]  # "10", "nan", "7"


@pytest.mark.parametrize(
    "model", [LogisticRegression(), CalibratedClassifierCV(LogisticRegression())], ids=["lr", "ccv"]
)
def test_a_row_has_the_same_bits_alone_and_beside_rows_that_raise(tmp_path: Path, model: Any) -> None:
    numbers = np.random.default_rng(0).normal(size=(300, 8))
    rows = pa.table({name: numbers[:, i] for i, name in enumerate("abcdefgh")})
    package = packed(tmp_path, clone(model).fit(to_pandas(rows), numbers.sum(axis=1) > 0), rows)
    whole = scores_of(package, rows).score
    alone = np.array([scores_of(package, rows.slice(i, 1)).score[0] for i in range(300)])
    numbers[7::20, 0] = np.nan
    beside = scores_of(package, rows.set_column(0, "a", pa.array(numbers[:, 0])))
    good = ~beside.failed
    assert alone.tobytes() == whole.tobytes()
    assert good.sum() == 285 and beside.score[good].tobytes() == whole[good].tobytes()


class Centred(RegressorMixin, BaseEstimator):
    """How far each row is from the middle of the rows that it is asked for with."""

    def fit(self, frame: pd.DataFrame, target: Any = None) -> "Centred":
        self.feature_names_in_ = list(frame.columns)
        return self

    def predict(self, frame: pd.DataFrame) -> Any:
        return frame["a"].to_numpy() - frame["a"].mean()


def test_a_model_that_looks_at_several_rows_at_once_is_refused(tmp_path: Path) -> None:
    rows = pa.table({"a": np.random.default_rng(0).normal(size=300)})
    with pytest.raises(ConfigError, match="another score when other rows stand beside them"):
        packed(tmp_path, Centred().fit(to_pandas(rows)), rows)


def test_an_imputer_that_looks_at_all_gaps_at_once_is_refused(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    numbers = random.normal(size=(2000, 2)) @ random.normal(size=(2, 24)) + random.normal(size=(2000, 24))
    numbers[random.random(numbers.shape) < 0.1] = np.nan
    rows = pa.table({f"x{i}": pa.array(numbers[:, i], from_pandas=True) for i in range(24)})
    target = np.nan_to_num(numbers).sum(axis=1)
    model = make_pipeline(IterativeImputer(random_state=0), LinearRegression()).fit(to_pandas(rows), target)
    with pytest.raises(ConfigError, match="IterativeImputer"):
        packed(tmp_path, model, rows)
