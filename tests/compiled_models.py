"""Models of every kind that has a compiled form."""

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import xgboost
from models_data import fitted
from runtime_models import SAMPLE, native_frame, target
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier

from spark_scoring.models.frames import to_pandas

FEATURES = ["distance", "seats", "carrier"]
NUMBERS = ["distance", "seats"]


def frame() -> pd.DataFrame:
    return to_pandas(SAMPLE)


def prepared(last: Any, *transformers: tuple[Any, list[str]], classes: int = 2) -> Any:
    """The estimator behind these transformers of columns."""
    return make_pipeline(make_column_transformer(*transformers), last).fit(frame()[FEATURES], target(SAMPLE, classes))


def filled(*steps: Any) -> tuple[Any, list[str]]:
    return make_pipeline(SimpleImputer(add_indicator=True), *steps, StandardScaler()), NUMBERS


ONE_HOT = (OneHotEncoder(handle_unknown="ignore"), ["carrier"])
LINEAR: dict[str, Callable[[], Any]] = {
    "logistic": lambda: fitted(LogisticRegression(max_iter=500), SAMPLE),
    "three classes": lambda: fitted(LogisticRegression(max_iter=500), SAMPLE, classes=3),
    "ridge": lambda: fitted(Ridge(), SAMPLE, classes=0),
    "sgd": lambda: fitted(SGDClassifier(loss="log_loss", random_state=0), SAMPLE, classes=3),
    "poisson": lambda: poisson(),
    "scorecard": lambda: prepared(
        LogisticRegression(max_iter=500), (make_pipeline(SimpleImputer(), KBinsDiscretizer(4)), NUMBERS), ONE_HOT
    ),
    "scaled one-hot": lambda: make_pipeline(
        make_column_transformer(filled(MinMaxScaler(clip=True)), ONE_HOT),
        StandardScaler(with_mean=False),
        SelectKBest(k=5),
        LogisticRegression(max_iter=500),
    ).fit(frame()[FEATURES], target(SAMPLE, 2)),
    "ordinal": lambda: prepared(
        LogisticRegression(max_iter=500),
        filled(PowerTransformer(), MaxAbsScaler()),
        (make_pipeline(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)),
         ["carrier"]),
    ),
    "refusing": lambda: prepared(
        LogisticRegression(), filled(FunctionTransformer(np.abs)), (OneHotEncoder(), ["carrier"])
    ),
    "target": lambda: prepared(LogisticRegression(), filled(), (TargetEncoder(), ["carrier"])),
    "NaN in texts": lambda: of_nan_texts(OneHotEncoder(handle_unknown="ignore")),
    "NaN in texts, filled": lambda: of_nan_texts(SimpleImputer(strategy="most_frequent"), OneHotEncoder()),
    "NaN in texts, ordinal": lambda: of_nan_texts(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    ),
}  # fmt: skip


def poisson() -> Any:
    model = make_pipeline(make_column_transformer(filled(RobustScaler()), ONE_HOT), PoissonRegressor())
    return model.fit(frame()[FEATURES], np.abs(target(SAMPLE, 0)))


def of_nan_texts(*encoders: Any) -> Any:
    """A model that was fitted on NaN for missing texts, as CSV files read by pandas have it."""
    columns = make_column_transformer(filled(), (make_pipeline(*encoders), ["carrier"]))
    texts = frame().assign(carrier=frame()["carrier"].fillna(np.nan))
    return make_pipeline(columns, LogisticRegression(max_iter=500)).fit(texts[FEATURES], target(SAMPLE, 2))


def in_numbers(last: Any, classes: int) -> Any:
    return last.fit(frame()[NUMBERS], target(SAMPLE, classes))


SKLEARN_TREES: dict[str, Callable[[], Any]] = {
    "histogram": lambda: in_numbers(HistGradientBoostingClassifier(max_iter=20), 2),
    "histogram, three": lambda: fitted(HistGradientBoostingClassifier(max_iter=5), SAMPLE, classes=3),
    "histogram, poisson": lambda: HistGradientBoostingRegressor(max_iter=20, loss="poisson").fit(
        frame()[NUMBERS], np.abs(target(SAMPLE, 0))
    ),
    "histogram, categories": lambda: HistGradientBoostingClassifier(
        max_iter=20, min_samples_leaf=3, categorical_features=["carrier"]
    ).fit(frame()[FEATURES], target(SAMPLE, 2)),
    "forest": lambda: in_numbers(RandomForestClassifier(20, random_state=0), 2),
    "forest, three": lambda: fitted(RandomForestClassifier(13, random_state=0), SAMPLE, classes=3),
    "extra trees": lambda: in_numbers(ExtraTreesRegressor(20, random_state=0), 0),
    "gradient": lambda: fitted(GradientBoostingClassifier(n_estimators=20), SAMPLE),
    "gradient, three": lambda: fitted(GradientBoostingClassifier(n_estimators=5), SAMPLE, classes=3),
    "gradient, exponential": lambda: fitted(GradientBoostingClassifier(n_estimators=9, loss="exponential"), SAMPLE),
    "gradient, line": lambda: fitted(GradientBoostingRegressor(n_estimators=20), SAMPLE, classes=0),
    "tree": lambda: in_numbers(DecisionTreeClassifier(random_state=0), 3),
}


def light(classes: int, **options: Any) -> Any:
    kind = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    wanted = target(SAMPLE, classes) if options.get("objective") != "poisson" else np.abs(target(SAMPLE, 0))
    return kind(n_estimators=20, verbose=-1, min_child_samples=5, **options).fit(native_frame(SAMPLE), wanted)


def extreme(classes: int, **options: Any) -> Any:
    kind = xgboost.XGBClassifier if classes else xgboost.XGBRegressor
    wanted = target(SAMPLE, classes)
    numbers = wanted.str[-1].astype(int) if classes else np.abs(wanted)
    return kind(n_estimators=20, enable_categorical=True, **options).fit(native_frame(SAMPLE), numbers)


NATIVE: dict[str, Callable[[], Any]] = {
    "lightgbm": lambda: light(2),
    "lightgbm, three": lambda: light(3),
    "lightgbm, one against all": lambda: light(3, objective="multiclassova"),
    "lightgbm, zero is missing": lambda: light(0, zero_as_missing=True),
    "lightgbm, none is missing": lambda: light(0, use_missing=False, objective="poisson"),
    "lightgbm, forest": lambda: light(0, boosting_type="rf", bagging_freq=1, bagging_fraction=0.6),
    "lightgbm, sets": lambda: light(2, max_cat_to_onehot=1, min_data_per_group=1, cat_smooth=1),
    "xgboost": lambda: extreme(2),
    "xgboost, three": lambda: extreme(3, max_cat_to_onehot=1),
    "xgboost, line": lambda: extreme(0, max_depth=8),
    "xgboost, poisson": lambda: extreme(0, objective="count:poisson"),
}
MODELS = LINEAR | SKLEARN_TREES | NATIVE
