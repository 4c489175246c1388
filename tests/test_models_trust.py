"""Who may run the code in a model, and what vouches for its files."""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from models_data import WIDE
from runtime_models import SAMPLE, Twice, packaged, target
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from source_models import LINE, NUMBERS, read
from xgboost import XGBClassifier

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.models import flavor
from spark_scoring.models.compiled.compile import compiled
from spark_scoring.models.loaded import load_package
from spark_scoring.models.package import digest_of
from spark_scoring.models.registry import DIGEST_TAG, client_of
from spark_scoring.models.store import temporary_cache

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db"


class Own(RegressorMixin, BaseEstimator):
    """A class that skops does not know."""

    def fit(self, frame: pd.DataFrame, target: Any = None) -> "Own":
        self.feature_names_in_ = list(frame.columns)
        return self

    def predict(self, frame: pd.DataFrame) -> Any:
        return frame["seats"].fillna(0).to_numpy(dtype=float)


def test_the_registry_vouches_for_code(registry: str, tmp_path: Path) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        own = Own().fit(NUMBERS)
        made = flavor.package(own, wide=WIDE, sample=SAMPLE, name="own", registry=registry, alias="champion")
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert made.spec.serialization == "cloudpickle"
    copy = shutil.copytree(made.path, tmp_path / "copy")
    with pytest.raises(ConfigError, match=f"holds a pickle.*to 'trust' of the job: {made.digest}"):
        flavor.resolve(str(copy), registry=registry, cache_dir=tmp_path / "cache")
    for trust in ([str(copy)], [made.digest], [made.digest[:32]]):
        assert flavor.resolve(str(copy), registry=registry, cache_dir=tmp_path / "cache", trust=trust)
    with pytest.raises(ConfigError, match="holds a pickle"):
        flavor.resolve(
            str(copy), registry=registry, cache_dir=tmp_path / "cache", trust=[made.digest[:31], "models:/own/1"]
        )


@pytest.mark.parametrize(
    "forged",
    [
        {"serialization": "x"},
        {"serialization": "onnx"},
        {"serialization": None},
        {"serialization": ["skops"]},
        {"runtime": "pyfunc", "serialization": "onnx"},
        {"runtime": "lightgbm", "serialization": "skops"},
        {"runtime": "x"},
        {"runtime": ["sklearn"]},
        {"file": "../outside.pkl"},
        {"file": "/tmp/outside.pkl"},
        {"file": ".."},
        {"file": ""},
        {"file": None},
        {"file": "not there"},
        {"file": "model.ubj"},
        {"file": "requirements.txt"},
        {"file": "__pycache__"},
        {"file": "model." + 300 * "x"},
        {"libraries": [["", "1"]]},
        {"libraries": [[1, "1"]]},
        {"tolerance": {"ulps": -1, "relative": 0.0}},
        {"tolerance": {"ulps": 0, "relative": float("inf")}},
        {"tolerance": {"ulps": "2", "relative": 0.0}},
        {"task": "x"},
        {"classes": [3]},
        {"prepare": ["prepare"]},
        {"features": [{"name": 1, "type": "int"}]},
    ],
)
def test_a_forged_contract_is_no_package(forged: dict[str, Any], tmp_path: Path) -> None:
    made = packaged(LinearRegression().fit(NUMBERS.fillna(0), range(len(NUMBERS))), tmp_path)
    (made.path / "MLmodel").unlink()
    (made.path.parent / "outside.pkl").write_bytes(cloudpickle.dumps(print))
    contract = json.loads((made.path / "package.json").read_text("utf-8"))
    (made.path / "package.json").write_text(json.dumps(contract | forged))
    with pytest.raises(ConfigError, match="not a spark_scoring package"):
        flavor.resolve(str(made.path), registry="none", cache_dir=tmp_path / "cache")


def test_a_link_to_a_folder_is_part_of_no_package(tmp_path: Path) -> None:
    made = packaged(Twice(), tmp_path, features=["seats"], score_output="half")
    (made.path / "pyfunc").rename(tmp_path / "outside")
    (made.path / "pyfunc").symlink_to(tmp_path / "outside")
    with pytest.raises(ConfigError, match="a link to a folder leads out of it"):
        flavor.resolve(str(made.path), registry="none", cache_dir=tmp_path / "cache", trust=[str(made.path)])


def test_a_model_that_cannot_be_loaded_says_so(tmp_path: Path) -> None:
    made = packaged(LinearRegression().fit(NUMBERS.fillna(0), range(len(NUMBERS))), tmp_path)
    (made.path / "MLmodel").unlink()
    (made.path / "model.skops").write_bytes(b"no zip")
    with pytest.raises(RunError, match=r"the model in it cannot be loaded: BadZipFile.*Package the model again"):
        flavor.load_model(str(made.path), registry="none", cache_dir=tmp_path / "cache")


def test_files_that_change_after_a_package_was_opened_are_not_used(tmp_path: Path) -> None:
    made = packaged(LinearRegression().fit(NUMBERS.fillna(0), range(len(NUMBERS))), tmp_path)
    other = packaged(LinearRegression().fit(NUMBERS.fillna(0), [7.0] * len(NUMBERS)), tmp_path)
    shutil.copy(other.path / "model.skops", made.path / "model.skops")
    for use in (load_package, compiled):
        with pytest.raises(RunError, match="they changed after packaging"):
            use(made)


@pytest.mark.parametrize("tag", ["", "..", "victim", "/", "0" * 63])
def test_a_tag_that_is_no_digest_names_no_folder_and_vouches_for_nothing(
    tag: str, registry: str, tmp_path: Path
) -> None:
    options = {"features": ["seats"], "score_output": "half"}
    made = flavor.package(Twice(), wide=WIDE, sample=SAMPLE, name="tagged", registry=registry, **options)
    victim = tmp_path / "cache" / "victim"
    victim.mkdir(parents=True)
    with client_of(registry) as client:
        client.set_model_version_tag("tagged", made.version, DIGEST_TAG, tag.replace("/", str(victim)))
    with pytest.raises(ConfigError, match="holds a pyfunc model"):
        flavor.resolve(f"models:/tagged/{made.version}", registry=registry, cache_dir=tmp_path / "cache")
    assert victim.is_dir()


def test_what_stands_in_the_cache_under_a_digest_is_looked_at(registry: str, tmp_path: Path) -> None:
    made = flavor.package(LINE, wide=WIDE, sample=SAMPLE, name="cached", registry=registry)
    with client_of(registry) as client:
        client.delete_model_version_tag("cached", made.version, DIGEST_TAG)
    place = tmp_path / made.digest
    shutil.copytree(made.path, tmp_path / "other")
    (tmp_path / "other" / "model.skops").write_bytes(b"planted")
    for plant in (
        lambda: shutil.copytree(tmp_path / "other", place),
        lambda: place.symlink_to(tmp_path / "other"),
        lambda: place.write_text("a file"),
    ):
        shutil.rmtree(place, ignore_errors=True)
        plant()
        found = flavor.resolve(f"models:/cached/{made.version}", registry=registry, cache_dir=tmp_path)
        assert digest_of(found.path) == made.digest and not found.path.is_symlink()
    assert (tmp_path / "other" / "model.skops").read_bytes() == b"planted"


def test_the_cache_among_temporary_files_is_ours_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = temporary_cache()
    assert folder.stat().st_mode & 0o777 == 0o700 and temporary_cache() == folder
    folder.chmod(0o777)
    with pytest.raises(RunError, match="it is no folder that you alone can write into"):
        temporary_cache()
    folder.rename(tmp_path / "other")
    folder.symlink_to(tmp_path / "other")
    with pytest.raises(RunError, match="it is no folder that you alone can write into"):
        temporary_cache()


def test_a_registered_model_that_changed_is_not_read(registry: str, tmp_path: Path) -> None:
    made = flavor.package(LINE, wide=WIDE, sample=SAMPLE, name="read", registry=registry)
    with client_of(registry) as client:
        client.set_model_version_tag("read", made.version, DIGEST_TAG, "0" * 64)
    with pytest.raises(RunError, match="they changed after packaging"):
        read(f"models:/read/{made.version}", tmp_path, registry=registry)


@pytest.mark.parametrize("given", [{"name": "a/b"}, {"name": ""}, {"alias": "v1"}, {"alias": "@"}, {"alias": "latest"}])
def test_a_name_that_no_registry_takes_is_refused_before_anything_is_registered(
    given: dict[str, str], registry: str
) -> None:
    with pytest.raises(ConfigError, match="is not allowed here"):
        flavor.package(LINE, wide=WIDE, sample=SAMPLE, registry=registry, **{"name": "refused", **given})
    with client_of(registry) as client:
        assert not client.search_model_versions("name = 'refused'")


def test_a_registered_version_without_a_digest_vouches_for_nothing(registry: str, tmp_path: Path) -> None:
    options = {"features": ["seats"], "score_output": "half"}
    made = flavor.package(Twice(), wide=WIDE, sample=SAMPLE, name="two", registry=registry, **options)
    with client_of(registry) as client:
        client.delete_model_version_tag("two", made.version, DIGEST_TAG)
    with pytest.raises(ConfigError, match="holds a pyfunc model"):
        flavor.resolve("models:/two/1", registry=registry, cache_dir=tmp_path)
    assert flavor.resolve("models:/two/1", registry=registry, cache_dir=tmp_path, trust=["models:/two/1"])


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_a_byte_of_a_file_that_was_changed(library: str, tmp_path: Path) -> None:
    kind = {"lightgbm": LGBMClassifier(n_estimators=3, verbose=-1), "xgboost": XGBClassifier(n_estimators=3)}[library]
    package = packaged(kind.fit(NUMBERS, (target(SAMPLE, 2) == "class 1").astype(int)), tmp_path)
    file = package.path / package.spec.file
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(RunError, match="they changed after packaging"):
        flavor.resolve(str(package.path), registry="", cache_dir=tmp_path / "cache")
