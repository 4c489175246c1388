"""The example's model: will a flight arrive more than 30 minutes late, told at its scheduled departure?"""

import pandas as pd
import pyarrow as pa
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder

from spark_scoring import to_pandas

LATE_MIN = 30
CATEGORIES = ["carrier", "origin", "dest"]
NUMBERS = [
    "distance", "plane_age", "seats", "dest_lat", "dest_lon", "temp", "wind_speed", "precip", "visib",
    "n_6h", "mean_delay_6h", "late_share_6h", "dep_hour", "dep_weekday",
]  # fmt: skip


def train(wide_rows: pa.Table) -> Pipeline:
    """A pipeline fitted on widened rows; cancelled and diverted flights, which have no `arr_delay`, are left out."""
    arrived = to_pandas(wide_rows).dropna(subset=["arr_delay"])
    return model().fit(arrived[CATEGORIES + NUMBERS], is_late(arrived))


def model() -> Pipeline:
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=200, sparse_output=False)
    columns = make_column_transformer((encoder, CATEGORIES), ("passthrough", NUMBERS))
    return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=150, learning_rate=0.08, random_state=7))


def is_late(flights: pd.DataFrame) -> pd.Series:
    """The truth that the model predicts."""
    late: pd.Series = flights["arr_delay"] > LATE_MIN
    return late
