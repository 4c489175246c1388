"""What becomes a package: models and samples that fit together, and those that do not."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from flavor_models import MODEL, ROWS
from models_data import WIDE, bits, fitted
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spark_scoring.errors import ConfigError
from spark_scoring.models import flavor
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.package import read_package

# MLflow warns of a type hint of its own when its pyfunc module is first imported
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")


def test_nothing_is_registered_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sample: lacks columns"):
        flavor.package(
            MODEL,
            wide=WIDE,
            sample=ROWS.drop_columns(["seats"]),
            name="x",
            registry=f"sqlite:///{tmp_path}/db",
        )
    assert list(tmp_path.iterdir()) == []


def without(table: pa.Table, name: str) -> pa.Table:
    return table.drop_columns([name])


@pytest.mark.parametrize(
    ("model", "sample", "message"),
    [
        (MODEL, without(ROWS, "seats"), "sample: lacks columns that the model reads: seats"),
        (MODEL, ROWS.slice(0, 9), "sample: 9 rows. At least 50"),
        (
            LinearRegression().fit(pd.DataFrame({"seat": [1.0, 2.0]}), [1, 2]),
            ROWS,
            "seat. Did you mean 'seats'",
        ),
        (MODEL, ROWS.set_column(3, "seats", pa.array(["x"] * 400)), "'seats' does not hold bigint"),
        (
            make_pipeline(LinearRegression()).fit(to_pandas(ROWS)[["distance"]].fillna(0), range(400)),
            ROWS.set_column(2, "distance", pa.nulls(400, pa.float64())),
            "400 of 400 rows got no score: MODEL ValueError",
        ),
    ],
)
def test_what_does_not_fit_together(model: Any, sample: pa.Table, message: str, elsewhere: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        flavor.save_model(model, elsewhere / "made", wide=WIDE, sample=sample)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": ["distance", "x"]}, "--features: 'distance,x': the model names its columns itself, distance, "),
        ({"features": ["seats", "Seats"]}, "--features: 'seats,Seats': each column has a name, once"),
        ({"features": [""]}, "--features: '': each column"),
        ({"score_output": "x"}, "--score-output: 'x': the model has no outputs that are told apart by name"),
    ],
)
def test_an_option_that_says_nothing_of_the_model(options: dict[str, Any], message: str, elsewhere: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        flavor.save_model(MODEL, elsewhere / "made", wide=WIDE, sample=ROWS, **options)


def test_a_model_that_was_fitted_on_an_array(tmp_path: Path) -> None:
    numbers = to_pandas(ROWS)[["seats", "distance"]].fillna(0).to_numpy()
    columns = ColumnTransformer([("scaled", StandardScaler(), [1]), ("kept", "passthrough", [0])])
    for number, estimator in enumerate([LogisticRegression(), make_pipeline(columns, LogisticRegression())]):
        model = estimator.fit(numbers, numbers[:, 1] > 0)
        with pytest.raises(ConfigError, match=r"it knows no column names.*--features a,b,c"):
            flavor.save_model(model, tmp_path / "none", wide=WIDE, sample=ROWS)
        with pytest.raises(ConfigError, match=r"it was fitted on 2 columns, and 1 are named\. Name all of its columns"):
            flavor.save_model(model, tmp_path / "few", wide=WIDE, sample=ROWS, features=["seats"])
        place = tmp_path / str(number)
        flavor.save_model(model, place, wide=WIDE, sample=ROWS, features=["seats", "distance"])
        found = flavor.load_model(str(place), registry="none").predict(to_pandas(ROWS))
        known = to_pandas(ROWS)[["seats", "distance"]].notna().all(axis=1)
        expected = model.predict_proba(numbers)[:, 1]
        assert np.allclose(found["score"][known], expected[known], rtol=1e-12)
        assert found["label"][known].tolist() == [str(one) for one in model.predict(numbers)[known].tolist()]


def test_a_pandas_sample_gives_the_declared_types(tmp_path: Path) -> None:
    flavor.save_model(MODEL, tmp_path / "made", wide=WIDE, sample=to_pandas(ROWS))
    found = read_package(tmp_path / "made", uri="made")
    assert [feature.type for feature in found.features] == ["double", "bigint", "string"]


def test_an_estimator_of_ones_own_is_pickled(tmp_path: Path) -> None:
    class Own(ClassifierMixin, BaseEstimator):
        classes_ = (0, 1)

        def fit(self, frame: pd.DataFrame, target: Any) -> "Own":
            self.feature_names_in_ = list(frame.columns)
            return self

        def predict_proba(self, frame: pd.DataFrame) -> Any:
            share = frame["seats"].fillna(0).to_numpy() / 200
            return pd.DataFrame({0: 1 - share, 1: share}).to_numpy()

        def predict(self, frame: pd.DataFrame) -> Any:
            return self.predict_proba(frame).argmax(axis=1)

    model = Own().fit(to_pandas(ROWS)[["seats"]], None)
    flavor.save_model(model, tmp_path / "made", wide=WIDE, sample=ROWS)
    found = read_package(tmp_path / "made", uri="made")
    assert (found.spec.serialization, found.classes) == ("cloudpickle", ("0", "1"))


def test_logistic_scores_do_not_depend_on_the_frame(tmp_path: Path) -> None:
    flavor.save_model(fitted(LogisticRegression(), ROWS), tmp_path / "made", wide=WIDE, sample=ROWS)
    loaded = flavor.load_model(str(tmp_path / "made"), registry="none")
    frame = to_pandas(ROWS)
    parts = pd.concat([loaded.predict(frame[:7]), loaded.predict(frame[7:])])
    assert bits(parts["score"]) == bits(loaded.predict(frame)["score"])
