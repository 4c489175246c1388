"""The MLflow flavor `spark_scoring`: packages written to and read from folders, runs and registries.

This file and `registry.py` are the only ones that know MLflow; they import it inside functions, so that
worker processes never pay for it.
"""

import importlib.metadata
import logging
import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from spark_scoring.errors import not_sklearn
from spark_scoring.models.build import inputs_for, skops_types, spec_of, write_parts
from spark_scoring.models.contract import FORMAT, Feature, ModelSpec
from spark_scoring.models.loaded import LoadedModel, load_package
from spark_scoring.models.package import SPEC, WIDE, Package, digest_of, library_differences, read_package
from spark_scoring.models.registry import (
    DIGEST_TAG,
    client_of,
    download,
    experiment_of,
    log_folder,
    place_of,
    quiet,
    register,
    version_of,
)
from spark_scoring.models.store import cache_beside, kept
from spark_scoring.models.uris import ModelUri, first_line, parse_model_uri
from spark_scoring.spec.wide import WideTable

FLAVOR = "spark_scoring"
logger = logging.getLogger(__name__)


def save_model(
    model: Any,
    path: str | Path,
    *,
    wide: WideTable,
    sample: pa.Table | pd.DataFrame,
    mlflow_model: Any = None,
) -> None:
    """Write a fitted scikit-learn model as a package into a new folder; nothing is left if that fails.

    `sample`: rows of the wide table, as `widen` gives them; types, golden sample and baseline come from it.

    Raises: ConfigError if model, wide table and sample do not fit together.
    """
    inputs = inputs_for(model, wide=wide, sample=sample)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, quiet():
        folder = Path(scratch) / "model"
        spec = _save_sklearn(model, folder, features=inputs.features, mlflow_model=mlflow_model)
        write_parts(folder, wide=wide, spec=spec, sample=inputs.sample)
        folder.rename(target)


def log_model(
    model: Any,
    name: str,
    *,
    wide: WideTable,
    sample: pa.Table | pd.DataFrame,
    registered_model_name: str | None = None,
) -> Any:
    """Log the package with MLflow's current run and tracking server; MLflow's ModelInfo."""
    with quiet():
        from mlflow.models import Model

        from spark_scoring.models import flavor

        return Model.log(
            None, name=name, flavor=flavor, registered_model_name=registered_model_name,
            model=model, wide=wide, sample=sample,
        )  # fmt: skip


def load_model(uri: str, *, registry: str | None = None, cache_dir: Path | None = None) -> LoadedModel:
    """The package and its model, ready for use in Python; `registry` is MLflow's current one if not given."""
    with quiet():
        import mlflow

        where = registry or mlflow.get_tracking_uri()
    cache = cache_dir or Path(tempfile.gettempdir()) / f"spark-scoring-{os.getuid()}"
    return load_package(resolve(uri, registry=where, cache_dir=cache))


def _load_pyfunc(path: str) -> LoadedModel:
    """What `mlflow.pyfunc.load_model` wraps."""
    return load_package(read_package(Path(path), uri=path))


def native(uri: str, *, registry: str) -> Any:
    """The fitted scikit-learn estimator of a logged or registered model, a package or not. Loading runs code.

    Raises: ConfigError, RunError: no such model, or one of another kind.
    """
    parsed = parse_model_uri(uri)
    if parsed.folder is not None:
        return _native(parsed.folder, uri)
    with tempfile.TemporaryDirectory() as scratch, client_of(registry) as client:
        place = partial(place_of, client, parsed)
        return _native(download(uri, Path(scratch), place=place, registry=registry), uri)


def _native(folder: Path, uri: str) -> Any:
    with quiet():
        import mlflow.sklearn
        from mlflow.exceptions import MlflowException

        try:
            return mlflow.sklearn.load_model(str(folder))
        except MlflowException as error:
            raise not_sklearn(uri, reason=first_line(error)) from None


def package(
    model: Any,
    *,
    wide: WideTable,
    sample: pa.Table | pd.DataFrame,
    name: str,
    registry: str,
    alias: str | None = None,
) -> Package:
    """Package a fitted model, register it as the next version of `name` and let `alias` point to it.

    The registry needs a database store, as in `sqlite:///path/mlflow.db`, whose files then lie beside it.

    Raises: ConfigError if model, wide table and sample do not fit together; RunError if the registry is away.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "package"
        save_model(model, folder, wide=wide, sample=sample)
        with client_of(registry, create=True) as client:
            model_id = log_folder(client, folder, name=name, experiment=experiment_of(client, registry=registry))
            version = register(client, name, model_id=model_id, digest=digest_of(folder))
            if alias:
                client.set_registered_model_alias(name, alias, version)
    return resolve(f"models:/{name}/{version}", registry=registry, cache_dir=cache_beside(registry))


def pin(uri: str, *, registry: str) -> str:
    """The URI with the alias replaced by the version it points to now; any other URI as it is.

    Raises: RunError that names what there is, or that the registry cannot be reached.
    """
    parsed = parse_model_uri(uri)
    if parsed.name is None:
        return uri
    with client_of(registry) as client:
        return f"models:/{parsed.name}/{version_of(client, parsed).version}"


def resolve(uri: str, *, registry: str, cache_dir: Path) -> Package:
    """The package behind a URI, in a local folder, its alias pinned to a version and its files checked.

    Downloads are kept in `cache_dir` by digest. Library versions that differ are logged as warnings.

    Raises: ConfigError, RunError: see `spark_scoring.errors`, each says what there is.
    """
    parsed = parse_model_uri(uri)
    if parsed.folder is not None:
        found = read_package(parsed.folder, uri=uri)
    else:
        with client_of(registry) as client:
            found = _fetch(client, parsed, registry=registry, cache_dir=cache_dir)
    for line in library_differences(found):
        logger.warning("%s: %s", found.uri, line)
    return found


def _fetch(client: Any, uri: ModelUri, *, registry: str, cache_dir: Path) -> Package:
    if uri.name is None:
        fetch = partial(download, place=partial(place_of, client, uri), registry=registry)
        return read_package(kept(uri.text, cache_dir=cache_dir, digest=None, fetch=fetch), uri=uri.text)
    version = version_of(client, uri)
    number = str(version.version)
    pinned = f"models:/{uri.name}/{number}"
    place = partial(place_of, client, replace(uri, alias=None, version=number))
    fetch = partial(download, place=place, registry=registry)
    folder = kept(pinned, cache_dir=cache_dir, digest=version.tags.get(DIGEST_TAG), fetch=fetch)
    return read_package(folder, uri=pinned, name=uri.name, version=number)


def _save_sklearn(model: Any, folder: Path, *, features: tuple[Feature, ...], mlflow_model: Any) -> ModelSpec:
    """Write the native model, so that `mlflow.sklearn.load_model` works, with our pyfunc beside it."""
    import mlflow.models
    import mlflow.sklearn

    mlflow_model = mlflow_model or mlflow.models.Model()
    types = skops_types(model)
    serialization = "cloudpickle" if types is None else "skops"
    file = "model.pkl" if types is None else "model.skops"
    spec = spec_of(model, features=features, file=file, serialization=serialization)
    requirements = [f"{name}=={version}" for name, version in spec.libraries]
    requirements.append(f"{serialization}=={importlib.metadata.version(serialization)}")
    mlflow.sklearn.save_model(
        model, str(folder), serialization_format=serialization, skops_trusted_types=types,
        mlflow_model=mlflow_model, signature=_signature(features), pip_requirements=requirements,
    )  # fmt: skip
    function = mlflow_model.flavors["python_function"]
    for key in ("model_path", "predict_fn"):
        function.pop(key, None)
    function["loader_module"] = "spark_scoring.models.flavor"
    mlflow_model.add_flavor(FLAVOR, format=FORMAT, spec=SPEC, wide=WIDE, runtime=spec.runtime)
    mlflow_model.save(str(folder / "MLmodel"))
    return spec


def _signature(features: tuple[Feature, ...]) -> Any:
    """Names only: MLflow would refuse a whole number beside a null, and cut timestamps and decimals down."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    inputs = Schema([ColSpec(AnyType(), feature.name) for feature in features])
    outputs = Schema([ColSpec("double", "score"), ColSpec("string", "label", required=False)])
    return ModelSignature(inputs=inputs, outputs=outputs)
