"""The scikit-learn runtime says what the estimator itself says, and trusts no list but its own."""

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest
import skops.io
from models_data import WIDE, bits, fitted, texts, wide_rows
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler, TargetEncoder
from sklearn.svm import OneClassSVM

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.models.blocks import BLOCK, score_blocks
from spark_scoring.models.build import inputs_for
from spark_scoring.models.contract import Inputs, Tolerance
from spark_scoring.models.describe import inputs_of, tolerance_of
from spark_scoring.models.frames import to_arrow, to_pandas
from spark_scoring.models.match import matched
from spark_scoring.models.parts import spec_of
from spark_scoring.models.sklearn import load, one_thread, read_model, save, trusted_types

CLASSIFIERS = [
    LogisticRegression(),
    HistGradientBoostingClassifier(max_iter=10),
    RandomForestClassifier(20, random_state=0, n_jobs=2),
    ExtraTreesClassifier(20, random_state=0),
    GradientBoostingClassifier(n_estimators=5, random_state=0),
    KNeighborsClassifier(4),
    GaussianNB(),
    CalibratedClassifierCV(LogisticRegression(), cv=2),
    FixedThresholdClassifier(LogisticRegression(), threshold=0.9, response_method="predict_proba"),
    StackingClassifier([("nb", GaussianNB()), ("forest", RandomForestClassifier(5, random_state=0))], cv=2),
    VotingClassifier([("nb", GaussianNB()), ("line", LogisticRegression())], voting="soft"),
    DummyClassifier(strategy="prior"),
]
REGRESSORS = [
    LinearRegression(),
    HistGradientBoostingRegressor(max_iter=10),
    RandomForestRegressor(20, random_state=0, n_jobs=2),
    PoissonRegressor(),
]
ROWS = wide_rows(BLOCK, seed=3)


def saved(model: Pipeline, folder: Path, *, output: str | None = None) -> Any:
    """The runtime's function for a model written with skops, and its features."""
    found = inputs_for(inputs_of(model), wide=WIDE, sample=ROWS)
    spec = spec_of(matched(model), inputs=found, saved=save(model, folder, inputs=found, output=output))
    return load(folder, spec), found


def name_of(estimator: Any) -> str:
    return type(estimator).__name__


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=name_of)
def test_classifiers(estimator: Any, classes: int, tmp_path: Path) -> None:
    if classes == 3 and isinstance(estimator, FixedThresholdClassifier):
        pytest.skip("a threshold is for two classes")
    model = fitted(estimator, wide_rows(300), classes=classes)
    predict, found = saved(model, tmp_path)
    outputs = predict(found.sample)
    one_thread(model)
    shares = model.predict_proba(to_pandas(ROWS))
    expected = shares[:, 1] if classes == 2 else shares.max(axis=1)
    assert bits(outputs.score) == bits(expected)
    assert texts(outputs) == model.predict(to_pandas(ROWS)).tolist()


@pytest.mark.parametrize("estimator", REGRESSORS, ids=name_of)
def test_regressors(estimator: Any, tmp_path: Path) -> None:
    rows = wide_rows(300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a Poisson model of negative numbers does not converge
        model = fitted(estimator, rows, classes=0) if name_of(estimator) != "PoissonRegressor" else poisson(rows)
    predict, found = saved(model, tmp_path)
    outputs = predict(found.sample)
    one_thread(model)
    assert bits(outputs.score) == bits(model.predict(to_pandas(ROWS)))
    assert set(texts(outputs)) == {None}


@pytest.mark.parametrize("output", [None, "decision_function", "score_samples"])
@pytest.mark.parametrize("detector", [IsolationForest(n_estimators=20, random_state=0), OneClassSVM()], ids=name_of)
def test_outlier_detectors(detector: Any, output: str | None, tmp_path: Path) -> None:
    model = make_pipeline(fitted(LinearRegression(), ROWS, classes=0)[0], detector).fit(to_pandas(ROWS))
    predict, found = saved(model, tmp_path, output=output)
    score = predict(found.sample).score
    assert np.allclose(score, getattr(model, output or "predict")(to_pandas(ROWS)), rtol=1e-9, atol=0)
    assert bits(score_blocks(found.sample.slice(7, 1), predict=predict, framed=()).score) == bits(score[7:8])
    assert len(set(score.tolist())) > (2 if output else 1)


def test_what_is_no_outlier_detector_has_no_such_output(tmp_path: Path) -> None:
    inputs = inputs_for(("distance", "seats", "carrier"), wide=WIDE, sample=ROWS)
    assert save(fitted(LogisticRegression(), ROWS), tmp_path, inputs=inputs, output="decision_function").output == ""


@pytest.mark.parametrize("form", ["doubles", "frame", "sparse"])
@pytest.mark.parametrize("classes", [0, 2, 3])
def test_linear_models_say_what_they_say_of_full_blocks(classes: int, form: str, tmp_path: Path) -> None:
    rows = wide_rows(3 * BLOCK, seed=4)
    rows = rows.filter(pc.and_(rows["distance"].is_valid(), rows["seats"].is_valid())).slice(0, 2 * BLOCK)
    frame = to_pandas(rows)
    model: Any = LogisticRegression() if classes else Ridge()
    if form == "sparse":
        shape = ColumnTransformer(
            [("n", "passthrough", ["distance"]), ("t", OneHotEncoder(), ["carrier"])], sparse_threshold=1
        )
        model = make_pipeline(shape, model)
    frame = frame[["distance", "seats"]].astype(float) if form == "doubles" else frame
    target = pd.qcut(frame["distance"], classes, labels=False) if classes else frame["distance"]
    model = (model if form != "frame" else make_pipeline(StandardScaler(), model)).fit(
        frame[["distance", "carrier"]] if form == "sparse" else frame[["distance", "seats"]], target
    )
    predict, _ = saved(model, tmp_path)
    names = list(model.feature_names_in_)
    batch = to_arrow(frame, inputs_for(tuple(names), wide=WIDE, sample=rows).features)
    outputs = predict(batch)
    for start in (0, BLOCK):
        block = to_pandas(batch.slice(start, BLOCK))
        shares = model.predict_proba(block) if classes else None
        expected = model.predict(block) if shares is None else shares[:, 1] if classes == 2 else shares.max(axis=1)
        assert bits(outputs.score[start : start + BLOCK]) == bits(expected)
        if classes:
            found = texts(outputs)[start : start + BLOCK]
            assert found == [str(one) for one in model.predict(block).tolist()]


def test_a_linear_model_refuses_the_row_that_the_library_refuses(tmp_path: Path) -> None:
    rows = wide_rows(3000, seed=4).filter(pc.is_valid(wide_rows(3000, seed=4)["seats"]))
    frame = to_pandas(rows)[["distance", "seats"]].fillna(0)
    predict, _ = saved(LogisticRegression().fit(frame, frame["distance"] > 0), tmp_path)
    scored = score_blocks(
        rows.select(["distance", "seats"]).combine_chunks().to_batches()[0], predict=predict, framed=()
    )
    missing = rows["distance"].is_null().to_pylist()
    assert [(one, what) for one, what in zip(scored.reason, scored.detail, strict=True)] == [
        ("MODEL", "ValueError") if gone else (None, None) for gone in missing
    ]


def poisson(rows: Any) -> Pipeline:
    model = fitted(LinearRegression(), rows, classes=0)
    target = np.abs(model.predict(to_pandas(rows)))
    return make_pipeline(model[0], PoissonRegressor()).fit(to_pandas(rows), target)


@pytest.mark.parametrize("estimator", [LogisticRegression(), RandomForestClassifier(20, n_jobs=2)], ids=name_of)
def test_a_row_has_the_same_bits_alone(estimator: Any, tmp_path: Path) -> None:
    predict, found = saved(fitted(estimator, wide_rows(300)), tmp_path)
    whole = score_blocks(found.sample, predict=predict, framed=()).score
    alone = [score_blocks(found.sample.slice(i, 1), predict=predict, framed=()).score[0] for i in range(0, BLOCK, 50)]
    assert bits(alone) == bits(whole[::50])


def test_a_null_text_is_one_bad_row_and_not_a_bad_block(tmp_path: Path) -> None:
    words = ColumnTransformer([("words", CountVectorizer(), "carrier")])
    good = ROWS.filter(pc.is_valid(ROWS["carrier"]))
    frame = to_pandas(good)
    predict, found = saved(make_pipeline(words, LogisticRegression()).fit(frame, frame["carrier"] == "Ü"), tmp_path)
    scored = score_blocks(found.sample, predict=predict, framed=())
    missing = found.sample["carrier"].is_null().to_pylist()
    assert [reason is not None for reason in scored.reason] == missing
    assert bits(scored.score[~np.array(missing)]) == bits(
        score_blocks(found.sample.filter(pc.is_valid(found.sample["carrier"])), predict=predict, framed=()).score
    )


def test_every_part_has_one_thread() -> None:
    forest = RandomForestClassifier(5, n_jobs=2, random_state=0)
    model = fitted(StackingClassifier([("forest", forest), ("knn", KNeighborsClassifier(n_jobs=2))], cv=2), ROWS)
    one_thread(model)
    stack = model[-1]
    assert [stack.n_jobs, *(part.n_jobs for part in stack.estimators_), stack.estimators[0][1].n_jobs] == [1] * 4


def test_labels_are_text(tmp_path: Path) -> None:
    model = fitted(LogisticRegression(), wide_rows(300))
    frame = to_pandas(wide_rows(300))
    model.fit(frame, frame["seats"].fillna(0) > 100)
    predict, found = saved(model, tmp_path)
    assert set(texts(predict(found.sample))) == {"False", "True"}


def test_inputs_leave_out_what_the_pipeline_drops() -> None:
    assert inputs_of(fitted(LogisticRegression(), ROWS)) == ("distance", "seats", "carrier")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["seats", "distance"], ("distance", "seats")),
        ([2, 3], ("distance", "seats")),
        (slice(2, 4), ("distance", "seats")),
        (slice("distance", "seats"), ("distance", "seats")),
        ([False, False, True, False, False, False], ("distance",)),
    ],
)
def test_inputs_by_any_selection(columns: Any, expected: tuple[str, ...]) -> None:
    transformer = ColumnTransformer([("all", FunctionTransformer(), columns), ("none", "drop", ["carrier"])])
    assert inputs_of(transformer.fit(to_pandas(ROWS))) == expected


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: LogisticRegression().fit([[0.0], [1.0]], [0, 1]),
            "LogisticRegression: it knows no column names",
        ),
        (lambda: fitted(RidgeClassifier(), ROWS), "RidgeClassifier: it gives classes and no probabilities"),
        (lambda: fitted(DummyClassifier(), ROWS, classes=1), "DummyClassifier: it knows one class only"),
    ],
)
def test_models_that_cannot_be_packaged(model: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        fit = model()
        found: Inputs = inputs_for(inputs_of(fit), wide=WIDE, sample=ROWS)
        save(fit, tmp_path, inputs=found, output=None)


def test_tolerances() -> None:
    trees, line = fitted(HistGradientBoostingClassifier(max_iter=2), ROWS), fitted(LogisticRegression(), ROWS)
    assert (tolerance_of(trees), tolerance_of(line)) == (Tolerance(ulps=2), Tolerance(relative=1e-9))


def test_a_skops_file_cannot_bring_a_function(tmp_path: Path) -> None:
    harm = FunctionTransformer(functools.partial(np.save, str(tmp_path / "harm")))
    skops.io.dump(make_pipeline(harm, LogisticRegression()), tmp_path / "model.skops")
    with pytest.raises(RunError, match="not trusted"):
        read_model(tmp_path / "model.skops", "skops")


@pytest.mark.parametrize(
    "name",
    [
        "sklearn.feature_selection._base.attrgetter",
        "sklearn.feature_extraction._dict_vectorizer.itemgetter",
        "sklearn.compose._column_transformer.partial",
        "sklearn.utils._testing.TempMemmap",
        "sklearn.datasets._covtype.GzipFile",
        "sklearn.linear_model.LogisticRegression",
        "sklearn.base.clone",
        "sklearn.nothing.Here",
        "operator.attrgetter",
    ],
)
def test_what_a_module_of_scikit_learn_imports_is_not_trusted(name: str) -> None:
    with pytest.raises(RunError, match="not trusted"):
        trusted_types([name], "m.skops")
    assert trusted_types(["sklearn.linear_model._logistic.LogisticRegression"], "m.skops")


TEXT_NAN = pd.DataFrame({"carrier": ["AA", "UA", np.nan, "DL"] * 10})
TEXT_NONE = TEXT_NAN.astype(object).replace({np.nan: None})
IMPUTED = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())


def of_texts(encoder: Any, frame: pd.DataFrame) -> Any:
    columns = ColumnTransformer([("texts", clone(encoder), ["carrier"])])
    return make_pipeline(columns, LogisticRegression()).fit(frame, np.arange(len(frame)) % 4 > 1)


@pytest.mark.parametrize("encoder", [OneHotEncoder(), TargetEncoder(cv=2), IMPUTED], ids=name_of)
@pytest.mark.parametrize("texts", [TEXT_NAN, TEXT_NONE], ids=["NaN", "None"])
def test_a_missing_text_is_what_it_was_when_the_model_was_fitted(
    encoder: Any, texts: pd.DataFrame, tmp_path: Path
) -> None:
    model = of_texts(encoder, texts)
    predict, found = saved(model, tmp_path)
    rows = to_arrow(texts, found.features)
    assert bits(predict(rows).score) == bits(model.predict_proba(texts)[:, 1])
    missing = [predict(rows.slice(place, length)).score[2 - place] for place, length in ((2, 1), (0, 3))]
    assert bits(missing) == bits(model.predict_proba(texts)[[2, 2], 1])


def test_an_imputer_that_met_no_missing_text_fills_them(tmp_path: Path) -> None:
    model = of_texts(IMPUTED, TEXT_NAN.dropna())
    predict, found = saved(model, tmp_path)
    score = predict(to_arrow(TEXT_NONE, found.features)).score
    assert bits(score) == bits(model.predict_proba(TEXT_NAN)[:, 1])
    assert score[2] in score[[0, 1, 3]]


def test_a_model_that_knows_missing_texts_as_none_and_as_nan_is_refused(tmp_path: Path) -> None:
    columns = ColumnTransformer([("a", OneHotEncoder(), ["carrier"]), ("b", OneHotEncoder(), ["id"])])
    both = TEXT_NAN.assign(id=TEXT_NONE["carrier"])
    model = make_pipeline(columns, LogisticRegression()).fit(both, np.arange(40) % 2)
    inputs = inputs_for(["carrier", "id"], wide=WIDE, sample=ROWS)
    with pytest.raises(ConfigError, match=r"NaN for a missing text in some of its parts.* missing_values=None"):
        save(model, tmp_path, inputs=inputs, output=None)


def test_trees_to_which_an_unknown_text_is_a_missing_one_are_taken(tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features=["carrier"], min_samples_leaf=2)
    model.fit(TEXT_NAN, np.arange(40) % 2)
    save(model, tmp_path, inputs=inputs_for(["carrier"], wide=WIDE, sample=ROWS), output=None)
    missing = [pd.DataFrame({"carrier": pd.Series([text], dtype=object)}) for text in (None, np.nan)]
    assert model.predict_proba(missing[0]).tolist() == model.predict_proba(missing[1]).tolist()


def test_nan_is_a_category_of_numbers(tmp_path: Path) -> None:
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    model.fit(pd.DataFrame({"seats": [1.0, 2.0, np.nan, 3.0] * 10}), np.arange(40) % 2)
    save(model, tmp_path, inputs=inputs_for(["seats"], wide=WIDE, sample=ROWS), output=None)
