"""A model from where users keep it: a file, or whatever MLflow has logged or registered.

What can be read without running code is read that way. A pickle, and a model that only MLflow's own loader
can read, runs the code in it: only if the registry or the user vouches for it.
"""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from spark_scoring import errors
from spark_scoring.models.match import PICKLES, SUFFIXES, check_suffix
from spark_scoring.models.package import digest_of, flavors_in, is_digest
from spark_scoring.models.registry import DIGEST_TAG, client_of, download, place_of, quiet, version_of
from spark_scoring.models.sklearn import read_model
from spark_scoring.models.uris import first_line, parse_model_uri

# flavor -> where it names its file; the first one that a model has is taken
DATA = {"sklearn": "pickled_model", "lightgbm": "data", "xgboost": "data", "onnx": "data"}


def read_source(source: str, scratch: Path, *, registry: str, trust: bool) -> Any:
    """A fitted model, or the path of a file that its runtime reads itself; downloads lie in `scratch`.

    Raises: ConfigError: no such file, a format that is not known, code that nobody vouches for. RunError: unreadable.
    """
    if ":/" in source or Path(source).is_dir():
        uri = parse_model_uri(source)
        if uri.folder is not None:
            return _of_folder(uri.folder, source, trust=trust)
        recorded = None
        with client_of(registry) as client:
            if uri.name is not None:
                version = version_of(client, uri)
                recorded = version.tags.get(DIGEST_TAG)
                # an alias that moves meanwhile must not bring another version's files
                uri = replace(uri, alias=None, version=str(version.version))
            folder = download(source, scratch, place=partial(place_of, client, uri), registry=registry)
        if is_digest(recorded) and (given := digest_of(folder)) != recorded:
            raise errors.package_changed(source, given=given, expected=recorded)
        return _of_folder(folder, source, trust=trust or uri.name is not None)
    return _of_file(Path(source), source, trust=trust)


def native(uri: str, *, registry: str, trust: bool = False) -> Any:
    """The fitted estimator of a logged or registered model, a package or not."""
    with tempfile.TemporaryDirectory() as scratch:
        return read_source(uri, Path(scratch), registry=registry, trust=trust)


def _of_file(path: Path, source: str, *, trust: bool) -> Any:
    check_suffix(source)
    if not path.is_file():
        raise errors.missing_file(source)
    if path.suffix.lower() in SUFFIXES:
        return path
    if path.suffix.lower() in PICKLES and not trust:
        raise errors.untrusted_source(source, what="a pickle")
    return _unpacked(path, source)


def _unpacked(path: Path, source: str) -> Any:
    import joblib

    try:
        return read_model(path, "skops") if path.suffix.lower() == ".skops" else joblib.load(path)
    except errors.SparkScoringError:
        raise
    except Exception as error:  # noqa: BLE001 - reading a pickle runs what is in it, and raises whatever that raises
        reason = str(error).splitlines()[0] if str(error) else "it holds no model"
        raise errors.unreadable_model(source, reason=f"{type(error).__name__}: {reason}") from None


def _of_folder(folder: Path, source: str, *, trust: bool) -> Any:
    """What an MLflow model folder holds, by its flavors."""
    try:
        flavors = flavors_in(folder)
    except (OSError, ValueError):
        raise errors.not_mlflow(source) from None
    name = next((one for one in DATA if one in flavors), None)
    if name is None and "python_function" not in flavors:
        raise errors.comes_later(source, library=", ".join(map(str, flavors)) or "no flavor")
    if name and not isinstance(flavors[name], dict):
        raise errors.not_mlflow(source)
    file = folder / str(flavors[name].get(DATA[name])) if name else folder
    if not file.resolve().is_relative_to(folder.resolve()):
        raise errors.not_mlflow(source)
    if name and file.is_file() and (file.suffix in SUFFIXES or (name == "sklearn" and file.suffix == ".skops")):
        return file if file.suffix in SUFFIXES else _unpacked(file, source)
    if not trust:
        raise errors.untrusted_source(source, what="a pickle" if name else "a pyfunc model")
    return _loaded(name, folder, source) if name else folder


def _loaded(flavor: str, folder: Path, source: str) -> Any:
    with quiet():
        import importlib

        try:
            return importlib.import_module(f"mlflow.{flavor}").load_model(str(folder))
        except Exception as error:  # noqa: BLE001 - each library has errors of its own
            reason = f"{type(error).__name__}: {first_line(error)}"
            raise errors.unreadable_model(source, reason=reason) from None
