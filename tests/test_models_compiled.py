"""Models that the JVM scores: the same scores, labels and reasons as the library, or the Arrow form."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compiled_models import MODELS, NATIVE, NUMBERS, ONE_HOT, frame
from models_data import WIDE, bits, wide_rows
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from runtime_models import SAMPLE, native_frame, packaged, target
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spark_scoring.errors import RunError
from spark_scoring.models.blocks import score_blocks
from spark_scoring.models.compiled import choose, forest, probes, ways
from spark_scoring.models.compiled.compile import Compiled, compiled
from spark_scoring.models.compiled.draft import NotCompiled, Origin
from spark_scoring.models.compiled.operations import Ints, Operation, apply
from spark_scoring.models.compiled.ways import Bits
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.golden import scored_in_spark, within
from spark_scoring.models.loaded import load_package
from spark_scoring.models.package import Package, digest_of
from spark_scoring.models.udf import SCORES, SCORES_TYPE, ScoredModel, score_rows


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    folder = tmp_path_factory.mktemp("packages")
    native = frame()[["id", "at"]].join(native_frame(SAMPLE))
    return {
        name: replace(packaged(make(), folder, sample=native if name in NATIVE else SAMPLE), name=name)
        for name, make in MODELS.items()
    }


@pytest.fixture(scope="module")
def forms(packages: dict[str, Package]) -> dict[str, Compiled]:
    return {name: compiled(package) for name, package in packages.items()}


def compared(spark: SparkSession, package: Package, form: Compiled, rows: pa.RecordBatch) -> str:
    return choose.compared(spark, package, form, pa.Table.from_batches([rows])).difference


@pytest.mark.parametrize("name", MODELS)
def test_a_model_agrees_with_its_library_where_its_decisions_change(
    spark: SparkSession, packages: dict[str, Package], forms: dict[str, Compiled], name: str
) -> None:
    golden = pq.read_table(packages[name].golden)
    rows = probes.probes(forms[name], packages[name].features, golden)
    assert compared(spark, packages[name], forms[name], rows) == ""


def test_all_models_in_one_pass_beside_an_arrow_model(
    spark: SparkSession, packages: dict[str, Package], forms: dict[str, Compiled]
) -> None:
    rows = wide_rows(2000, seed=3)
    models = [ScoredModel(role=name, package=packages[name], compiled=form) for name, form in forms.items()]
    models.insert(3, ScoredModel(role="arrow", package=packages["ridge"]))
    rejected = F.col("seats") > 150
    scored = score_rows(spark.createDataFrame(rows), models, where=~rejected)
    assert scored.schema[SCORES].dataType.simpleString() == SCORES_TYPE.replace(": ", ":").replace(", ", ",")
    found = scored.select(SCORES).toArrow()[SCORES].combine_chunks()
    seats = rows["seats"].to_pandas()
    wanted = (seats <= 150).to_numpy()
    entries = found.flatten()
    for place, model in enumerate(models):
        own = entries.take(pa.array(range(place, len(entries), len(models))))
        assert (np.asarray(own.is_valid()) == wanted).all()
        library = score_blocks(
            rows.select([f.name for f in model.package.features])
            .combine_chunks()
            .to_batches()[0]
            .filter(pa.array(wanted)),
            predict=load_package(model.package).score,
            framed=model.package.spec.framed,
        )
        kept = own.filter(pa.array(wanted))
        assert set(kept.field("role").to_pylist()) == {model.role}
        assert kept.field("reason").to_pylist() == library.reason.tolist()
        assert kept.field("detail").to_pylist() == library.detail.tolist()
        assert kept.field("label").to_pylist() == library.label.tolist()
        good = ~library.failed
        scores = kept.field("score").to_numpy(zero_copy_only=False)
        assert within(scores[good], library.score[good], tolerance=model.package.tolerance).all(), model.role


def test_columns_that_are_selected_by_position(spark: SparkSession, tmp_path: Path) -> None:
    columns = make_column_transformer((make_pipeline(SimpleImputer(), StandardScaler()), [1]), (SimpleImputer(), [-2]))
    model = make_pipeline(columns, LogisticRegression()).fit(frame()[NUMBERS].to_numpy(), target(SAMPLE, 2))
    package = packaged(model, tmp_path, features=NUMBERS)
    form = compiled(package)
    rows = probes.probes(form, package.features, pq.read_table(package.golden))
    assert compared(spark, package, form, rows) == ""


@pytest.mark.parametrize("name", ["extra trees", "gradient, line", "lightgbm, zero is missing", "xgboost, line"])
def test_sums_of_trees_have_the_librarys_bits(
    spark: SparkSession, packages: dict[str, Package], forms: dict[str, Compiled], name: str
) -> None:
    rows = wide_rows(1000, seed=4).select([f.name for f in packages[name].features])
    found = scored_in_spark(spark, rows, ScoredModel(role="x", package=packages[name], compiled=forms[name]))
    library = load_package(packages[name]).predict(to_pandas(rows))
    assert bits(found["score"].to_pylist()) == bits(library["score"])


@pytest.mark.parametrize("name", ["lightgbm, zero is missing", "lightgbm, sets", "xgboost, line"])
def test_trees_whose_nodes_do_not_fit_into_one_word_agree_too(
    spark: SparkSession,
    packages: dict[str, Package],
    forms: dict[str, Compiled],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setattr(forest, "WORD_BITS", 0)
    form = compiled(packages[name])
    rows = probes.probes(form, packages[name].features, pq.read_table(packages[name].golden))
    assert form.key != forms[name].key
    assert compared(spark, packages[name], form, rows) == ""


SMALL = ("gradient, line", "histogram", "lightgbm, three", "lightgbm, sets", "lightgbm, zero is missing")


@pytest.mark.parametrize(
    ("name", "way"), [*product(SMALL, Bits), ("xgboost, three", Bits.NONE), ("xgboost, three", Bits.WHOLE)]
)
def test_leaves_are_the_same_walked_to_and_all_at_once(
    spark: SparkSession, packages: dict[str, Package], monkeypatch: pytest.MonkeyPatch, name: str, way: Bits
) -> None:
    fits: list[bool] = []

    def chosen(depth: Ints, leaves: Ints, places: Ints) -> Bits:
        fits.append(leaves.max() <= (way or np.inf))
        return way

    monkeypatch.setattr(forest, "bits_of", chosen)
    form = compiled(packages[name])
    assert fits == [True]
    rows = probes.probes(form, packages[name].features, pq.read_table(packages[name].golden))
    assert compared(spark, packages[name], form, rows) == ""


@pytest.mark.parametrize(
    ("trees", "leaves", "features", "way"),
    [(300, 31, 30, Bits.HALF), (300, 50, 20, Bits.WHOLE), (300, 65, 30, Bits.NONE), (3, 31, 30, Bits.NONE)],
)
def test_many_small_trees_find_their_leaves_at_once(trees: int, leaves: int, features: int, way: Bits) -> None:
    places = np.arange(trees * (leaves - 1)) % features
    assert ways.bits_of(np.full(trees, 10), np.full(trees, leaves), places) == way


def test_no_python_worker_where_all_models_are_compiled(
    spark: SparkSession, packages: dict[str, Package], forms: dict[str, Compiled]
) -> None:
    models = [ScoredModel(role=name, package=packages[name], compiled=forms[name]) for name in ("logistic", "forest")]
    scored = score_rows(spark.createDataFrame(SAMPLE), models)
    used = scored.withColumn("late", F.col(SCORES)[0]["score"] > 0.5).filter("late and scores[1].label is not null")
    plan = used._jdf.queryExecution().executedPlan().toString()
    assert "Python" not in plan and plan.count("ModelScores") <= 1 and plan.count("scores(") <= 2


BREAKS: dict[str, Callable[[forest.Forest], forest.Forest]] = {
    "< instead of <=": lambda f: replace(f, limit=np.nextafter(f.limit, -np.inf)),
    "one limit by one bit": lambda f: replace(
        f, limit=np.where(np.arange(len(f.limit)) == np.argmax(f.feature == 0), np.nextafter(f.limit, 999), f.limit)
    ),
    "missing to the other side": lambda f: replace(f, missing=np.where(f.missing == 1, 2, 1)),
    "a leaf by one bit": lambda f: replace(f, value=np.nextafter(f.value, 9)),
}  # fmt: skip


@pytest.mark.parametrize("broken", BREAKS)
def test_the_gate_finds_a_wrong_compiler(
    spark: SparkSession, packages: dict[str, Package], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    package = packages["lightgbm, zero is missing" if "leaf" in broken else "lightgbm"]
    right = forest.Growing.forest
    monkeypatch.setattr(forest.Growing, "forest", lambda self, **given: BREAKS[broken](right(self, **given)))
    found = choose._choose(spark, package)
    assert found.compiled is None and found.why.startswith("the compiled form gives another ")


def test_what_is_not_compiled_says_why(spark: SparkSession, tmp_path: Path) -> None:
    frame_ = frame()[NUMBERS].fillna(0)
    neighbours = packaged(KNeighborsRegressor().fit(frame_, frame_["distance"]), tmp_path, sample=SAMPLE.filter(
        pa.array((~frame()[NUMBERS].isna().any(axis=1)).tolist())
    ))  # fmt: skip
    assert choose.admitted(spark, neighbours, role="champion").why == "KNeighborsRegressor has no compiled form"
    with pytest.raises(RunError, match=r"runtime: compiled.* KNeighborsRegressor has no compiled form"):
        choose.admitted(spark, neighbours, role="champion", runtime="compiled")
    with pytest.raises(NotCompiled, match="KNeighborsRegressor"):
        compiled(neighbours)


def test_a_text_that_an_imputer_takes_for_a_missing_one_is_not_compiled(tmp_path: Path) -> None:
    # none of the golden rows need hold it, so the gate may not see it
    imputer = SimpleImputer(missing_values="?", strategy="constant", fill_value="AA")
    columns = make_column_transformer((make_pipeline(imputer, *ONE_HOT[:1]), ONE_HOT[1]))
    model = make_pipeline(columns, LogisticRegression()).fit(frame()[ONE_HOT[1]], target(SAMPLE, 2))
    with pytest.raises(NotCompiled, match=r"SimpleImputer of texts with missing_values='\?'"):
        compiled(packaged(model, tmp_path, features=ONE_HOT[1]))


def test_weights_of_columns_are_not_compiled(tmp_path: Path) -> None:
    columns = make_column_transformer((SimpleImputer(), NUMBERS)).set_params(transformer_weights={"simpleimputer": 2.0})
    model = make_pipeline(columns, LogisticRegression()).fit(frame()[NUMBERS], target(SAMPLE, 2))
    with pytest.raises(NotCompiled, match="ColumnTransformer with transformer_weights"):
        compiled(packaged(model, tmp_path, features=NUMBERS))


def test_the_choice_is_made_at_admission(spark: SparkSession, packages: dict[str, Package]) -> None:
    asked = {
        runtime: choose.admitted(spark, packages["ridge"], role="champion", runtime=runtime)
        for runtime in (None, "arrow")
    }
    assert {key: model.runtime for key, model in asked.items()} == {None: "compiled", "arrow": "arrow"}
    assert asked["arrow"].why == "runtime: arrow in the job or the plan"


def test_a_compiled_model_that_scores_its_golden_sample_otherwise_is_refused(
    spark: SparkSession, packages: dict[str, Package], tmp_path: Path
) -> None:
    package = packages["lightgbm"]
    changed = shutil.copytree(package.path, tmp_path / "changed")
    golden = pq.read_table(package.golden)
    scores = golden["score"].to_numpy().copy()
    scores[3] += 1e-9
    place = golden.schema.get_field_index("score")
    pq.write_table(golden.set_column(place, "score", pa.array(scores)), changed / package.golden.name)
    golden_differs = r"golden rows 1 got another score \(.* 1e-09\) and 0 another label"
    for digest, message in ((digest_of(changed), golden_differs), (package.digest, "they changed after packaging")):
        with pytest.raises(RunError, match=message):
            choose.admitted(spark, replace(package, path=changed, digest=digest), role="champion")
    assert choose.admitted(spark, package, role="champion").runtime == "compiled"


def test_the_last_input_below_a_limit() -> None:
    limits = np.array([-3.0, 0.0, 1.5, 1e30])
    chain = ((Operation.SUBTRACT, 0.1), (Operation.DIVIDE, 3.7), (Operation.TO_FLOAT, 0.0))
    below = probes.last_below(limits, Origin(column=0, operations=chain))

    def after(x: np.ndarray) -> np.ndarray:
        for operation, a in chain:
            x = apply(operation, x, a)
        return x

    assert (after(below) <= limits).all() and (after(np.nextafter(below, np.inf)) > limits).all()


def test_the_wide_table_is_the_packages(packages: dict[str, Package]) -> None:
    assert {package.wide for package in packages.values()} == {WIDE}


def test_spark_connect_falls_back_to_arrow(packages: dict[str, Package]) -> None:
    session = type("SparkSession", (), {"__module__": "pyspark.sql.connect.session"})()
    choice = choose.chosen(session, packages["ridge"])
    assert (choice.compiled, choice.why) == (None, "a session of Spark Connect takes no functions")
