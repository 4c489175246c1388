"""Packages: written, registered, found again, and refused when they were changed."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import mlflow
import pyarrow.parquet as pq
import pytest
from flavor_models import MODEL, ROWS
from models_data import WIDE, bits

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.models import flavor
from spark_scoring.models.contract import Feature
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.package import Package, digest_of, library_differences
from spark_scoring.models.parts import GOLDEN_ROWS
from spark_scoring.models.source import native

# MLflow warns of a type hint of its own when its pyfunc module is first imported
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db"


@pytest.fixture(scope="module")
def champion(registry: str) -> Package:
    return flavor.package(MODEL, wide=WIDE, sample=ROWS, name="trips", registry=registry, alias="champion")


def test_a_package_carries_all_that_scoring_needs(champion: Package) -> None:
    assert (champion.name, champion.version, champion.uri) == ("trips", "1", "models:/trips/1")
    assert (champion.task, champion.classes) == ("binary", ("class 0", "class 1"))
    assert champion.features == (
        Feature(name="distance", type="double"),
        Feature(name="seats", type="bigint"),
        Feature(name="carrier", type="string"),
    )
    assert champion.wide == WIDE
    assert library_differences(champion) == ()


def test_the_golden_sample_holds_the_scores_of_the_model(champion: Package) -> None:
    golden = pq.read_table(champion.golden)
    assert len(golden) == GOLDEN_ROWS
    assert bits(golden["score"].to_pylist()) == bits(MODEL.predict_proba(to_pandas(golden))[:, 1])
    assert golden["label"].to_pylist() == MODEL.predict(to_pandas(golden)).tolist()


def test_the_baseline_counts_nulls_and_commonest_values(champion: Package) -> None:
    found = json.loads(champion.baseline.read_text())
    assert list(found) == ["distance", "seats", "carrier", "score", "label"]
    assert found["carrier"]["nulls"] == ROWS["carrier"].null_count
    assert {name for name, _ in found["carrier"]["commonest"]} == {"AA", "BB", "Ü"}
    assert found["seats"]["quantiles"][0] == [0.0, min(ROWS["seats"].drop_null().to_pylist())]


def test_the_same_scores_by_every_door(champion: Package, registry: str, tmp_path: Path) -> None:
    frame = to_pandas(ROWS)
    loaded = flavor.load_model("models:/trips@champion", registry=registry, cache_dir=tmp_path)
    pyfunc = mlflow.pyfunc.load_model(str(champion.path))
    native = mlflow.sklearn.load_model(str(champion.path))
    expected = bits(MODEL.predict_proba(frame)[:, 1])
    assert bits(loaded.predict(frame)["score"]) == expected
    assert bits(pyfunc.predict(frame[["carrier", "seats", "distance"]])["score"]) == expected
    assert bits(native.predict_proba(frame)[:, 1]) == expected
    assert pyfunc.predict(frame[["carrier", "seats", "distance"]])["label"].tolist() == MODEL.predict(frame).tolist()


def test_the_estimator_comes_back_out(champion: Package, registry: str) -> None:
    found = native("models:/trips@champion", registry=registry)
    assert bits(found.predict_proba(to_pandas(ROWS))[:, 1]) == bits(MODEL.predict_proba(to_pandas(ROWS))[:, 1])


def test_nothing_is_printed_and_nothing_lies_about(
    elsewhere: Path, tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    registry = f"sqlite:///{tmp_path_factory.mktemp('fresh')}/deep/mlflow.db"
    before = (mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI"))
    flavor.package(MODEL, wide=WIDE, sample=ROWS, name="quiet", registry=registry, alias="champion")
    assert capfd.readouterr() == ("", "")
    assert (mlflow.get_tracking_uri(), os.environ.get("MLFLOW_TRACKING_URI")) == before


def test_an_alias_is_pinned_and_moves(registry: str, champion: Package, tmp_path: Path) -> None:
    other = flavor.package(MODEL, wide=WIDE, sample=ROWS, name="moving", registry=registry, alias="champion")
    again = flavor.package(MODEL, wide=WIDE, sample=ROWS, name="moving", registry=registry, alias="champion")
    assert (other.version, again.version) == ("1", "2")
    assert flavor.pin("models:/moving@champion", registry=registry) == "models:/moving/2"
    assert flavor.resolve("models:/moving/1", registry=registry, cache_dir=tmp_path).version == "1"


def test_a_second_resolve_reads_the_kept_files(champion: Package, registry: str, tmp_path: Path) -> None:
    first = flavor.resolve(champion.uri, registry=registry, cache_dir=tmp_path)
    inode = first.golden.stat().st_ino
    assert flavor.resolve(champion.uri, registry=registry, cache_dir=tmp_path).golden.stat().st_ino == inode
    first.golden.write_bytes(b"damaged")
    assert digest_of(flavor.resolve(champion.uri, registry=registry, cache_dir=tmp_path).path) == champion.digest


def test_a_changed_byte_is_refused(registry: str, tmp_path: Path) -> None:
    made = flavor.package(MODEL, wide=WIDE, sample=ROWS, name="changed", registry=registry)
    stored = Path(registry.removeprefix("sqlite:///")).parent.glob("mlflow-artifacts/**/package.json")
    spec = next(file for file in stored if digest_of(file.parent) == made.digest)
    spec.write_text(spec.read_text().replace("skops", "pickle"))
    with pytest.raises(RunError, match="they changed after packaging"):
        flavor.resolve(made.uri, registry=registry, cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"wide": "wide.yaml"}, r"package: wide: expected a WideTable, as WideTable\.load.*, got the text 'wide.yaml'"),
        ({"sample": "data/training"}, r"package: sample: expected rows in memory, .*, got the text 'data/training'"),
        ({"sample": type("DataFrame", (), {})()}, r"as frame\.limit\(20_000\)\.toArrow\(\) .* got a .*DataFrame"),
    ],
)
def test_paths_and_spark_frames_are_told_from_rows(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        flavor.save_model(MODEL, tmp_path / "made", **{"wide": WIDE, "sample": ROWS, **given})


def test_the_digest_is_of_the_content_alone(champion: Package, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(champion.path, tmp_path / "copy"))
    (copy / "registered_model_meta").write_text("model_version: 9")
    (copy / "MLmodel").write_text((copy / "MLmodel").read_text() + "\n")
    assert digest_of(copy) == champion.digest
    (copy / "extra.py").write_text("")
    assert digest_of(copy) != champion.digest


def test_a_folder_is_a_package_too(tmp_path: Path) -> None:
    flavor.save_model(MODEL, tmp_path / "made", wide=WIDE, sample=ROWS)
    found = flavor.resolve(str(tmp_path / "made"), registry="", cache_dir=tmp_path)
    assert (found.name, found.version) == ("trips", found.digest[:12])


def test_a_logged_model_is_a_package_too(registry: str, champion: Package, tmp_path: Path) -> None:
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(registry)
    try:
        with mlflow.start_run(experiment_id=mlflow.get_experiment_by_name("spark_scoring").experiment_id):
            logged = flavor.log_model(MODEL, "trips", wide=WIDE, sample=ROWS)
    finally:
        mlflow.set_tracking_uri(before)
    by_run = flavor.resolve(f"runs:/{logged.run_id}/trips", registry=registry, cache_dir=tmp_path)
    by_id = flavor.resolve(f"models:/{logged.model_id}", registry=registry, cache_dir=tmp_path)
    assert by_run.digest == by_id.digest


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/trips@nobody", "there is no alias 'nobody'. There are: champion"),
        ("models:/trips@champoin", "Did you mean 'champion'"),
        ("models:/trip@champion", "no model 'trip'. Did you mean 'trips'"),
        ("models:/trips/77", "there is no version 77. There are: "),
        ("runs:/0123/trips", "its files cannot be fetched: Run with id=0123 not found"),
    ],
)
def test_what_the_registry_does_not_have(
    uri: str, message: str, champion: Package, registry: str, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=message):
        flavor.resolve(uri, registry=registry, cache_dir=tmp_path)


@pytest.mark.parametrize(
    ("registry", "message"),
    [
        ("sqlite:////nowhere/mlflow.db", "cannot be reached: there is no such file"),
        ("http://127.0.0.1:9", "cannot be reached: .*refused"),
        ("nonsense://x", "cannot be reached: "),
    ],
)
def test_a_registry_that_is_away(registry: str, message: str, tmp_path: Path, elsewhere: Path) -> None:
    with pytest.raises(RunError, match=message):
        flavor.resolve("models:/trips@champion", registry=registry, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("uri", ["models:/trips", "models:/trips/latest", "trips", "models:/a/b/c", ""])
def test_what_names_no_model(uri: str, registry: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names no model"):
        flavor.resolve(uri or str(tmp_path / "no"), registry=registry, cache_dir=tmp_path)


def test_another_mlflow_model_is_no_package(tmp_path: Path) -> None:
    mlflow.sklearn.save_model(MODEL, tmp_path / "plain", serialization_format="pickle", pip_requirements=[])
    with pytest.raises(ConfigError, match=r"not a spark_scoring package: it lacks package\.json"):
        flavor.resolve(str(tmp_path / "plain"), registry="", cache_dir=tmp_path)


def test_a_package_of_another_format_is_none(champion: Package, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(champion.path, tmp_path / "copy"))
    (copy / "package.json").write_text((copy / "package.json").read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(RunError, match="they changed after packaging"):
        flavor.resolve(str(copy), registry="", cache_dir=tmp_path)
    (copy / "MLmodel").unlink()
    with pytest.raises(ConfigError, match=r"it lacks a package\.json of format 1"):
        flavor.resolve(str(copy), registry="", cache_dir=tmp_path)


@pytest.mark.parametrize(
    "text", ["- a", "a: [", "flavors: [spark_scoring]", "flavors: {spark_scoring: x}", "just text", b"\xff\xfe"]
)
def test_an_mlmodel_that_cannot_be_read(text: str | bytes, champion: Package, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(champion.path, tmp_path / "copy"))
    (copy / "MLmodel").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match="not a spark_scoring package: it lacks an MLmodel that can be read"):
        flavor.resolve(str(copy), registry="", cache_dir=tmp_path)


def test_other_library_versions_are_told(champion: Package, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    copy = Path(shutil.copytree(champion.path, tmp_path / "copy"))
    spec = json.loads((copy / "package.json").read_text())
    spec["libraries"] = [["scikit-learn", "0.1"], ["nothing-here", "1"]]
    (copy / "package.json").write_text(json.dumps(spec))
    (copy / "MLmodel").unlink()  # it knows the digest
    flavor.resolve(str(copy), registry="", cache_dir=tmp_path)
    assert "packaged with scikit-learn 0.1, here it is" in caplog.text
    assert "packaged with nothing-here 1, here it is not installed" in caplog.text
