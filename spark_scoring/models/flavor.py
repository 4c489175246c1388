"""The MLflow flavor `spark_scoring`: packages written to and read from folders, runs and registries.

MLflow is imported inside functions, here as in `mlmodel`, `registry`, `source` and `pyfunc`: a worker process pays for
it only if its model is a pyfunc.
"""

import logging
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from spark_scoring.errors import ConfigError, contradiction
from spark_scoring.models import mlmodel
from spark_scoring.models.build import Sample, check_given, inputs_for
from spark_scoring.models.cache import runtime_of
from spark_scoring.models.contract import Saved
from spark_scoring.models.libraries import check_installed
from spark_scoring.models.loaded import LoadedModel, load_package
from spark_scoring.models.match import matched
from spark_scoring.models.package import FLAVOR, Package, digest_of, is_digest, library_differences, read_package
from spark_scoring.models.parts import spec_of, write_parts
from spark_scoring.models.prepare import FILE as CODE_FILE
from spark_scoring.models.prepare import FeatureCode
from spark_scoring.models.registry import (
    DIGEST_TAG,
    check_names,
    client_of,
    download,
    experiment_of,
    log_folder,
    place_of,
    quiet,
    register,
    version_of,
)
from spark_scoring.models.source import read_source
from spark_scoring.models.store import cache_beside, kept, temporary_cache
from spark_scoring.models.trust import check_trusted
from spark_scoring.models.uris import ModelUri, parse_model_uri
from spark_scoring.spec.wide import WideTable

logger = logging.getLogger(__name__)


def save_model(
    model: Any,
    path: str | Path,
    *,
    wide: WideTable,
    sample: Sample,
    features: Sequence[str] | None = None,
    prepare: str | None = None,
    score_output: str | None = None,
    mlflow_model: Any = None,
) -> None:
    """Write a fitted model, or the path of one, as a package into a new folder; nothing is left if that fails.

    `sample`: rows of the wide table, as `widen` gives them; types, golden sample and baseline come from it.
    `features`: the columns that the model reads, in its order, if it does not name them itself. `prepare`:
    `file.py:function`, run before the model. `score_output`: which of several outputs is the score.

    Raises: ConfigError if model, wide table and sample do not fit together.
    """
    check_given(wide=wide, sample=sample)
    match = matched(model)
    runtime = runtime_of(match.runtime)
    code = FeatureCode.parse(prepare) if prepare else None
    names = _input_names(runtime, model, features)
    inputs = inputs_for(names, wide=wide, sample=sample, prepare=code)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch, quiet():
        folder, parts = Path(scratch) / "model", Path(scratch) / "parts"
        parts.mkdir()
        saved: Saved = runtime.save(model, parts, inputs=inputs, output=score_output)
        if score_output is not None and saved.output != score_output:
            why, do = "the model has no outputs that are told apart by name", "Leave it out"
            raise contradiction("--score-output", given=f"'{score_output}'", why=why, do=do)
        if code:
            shutil.copyfile(code.path, parts / CODE_FILE)
        spec = spec_of(match, inputs=inputs, saved=saved, prepare=code.function if code else "")
        write_parts(parts, wide=wide, spec=spec, sample=inputs.sample)
        begun = mlmodel.begin(folder, spec=spec, mlflow_model=mlflow_model)
        shutil.copytree(parts, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        mlmodel.finish(folder, spec=spec, saved=saved, model=begun)
        folder.rename(target)


def _input_names(runtime: Any, model: Any, given: Sequence[str] | None) -> tuple[str, ...]:
    """The columns that the model reads: its own names, or the given ones if it has none."""
    if given is None:
        return tuple(runtime.input_names(model))
    shown, own = f"'{','.join(given)}'", None
    if not all(given) or len({name.lower() for name in given}) < len(given):
        raise contradiction("--features", given=shown, why="each column has a name, once", do="Give them as a,b,c")
    with suppress(ConfigError):
        own = tuple(runtime.input_names(model))
    if own and [name.lower() for name in own] != [name.lower() for name in given]:
        why = f"the model names its columns itself, {', '.join(own)}"
        raise contradiction("--features", given=shown, why=why, do="Leave it out")
    return tuple(given)


def log_model(
    model: Any,
    name: str,
    *,
    wide: WideTable,
    sample: Sample,
    registered_model_name: str | None = None,
    **options: Any,
) -> Any:
    """Log the package with MLflow's current run and tracking server; MLflow's ModelInfo.

    `options` are those of `save_model`.
    """
    with quiet():
        from mlflow import MlflowClient
        from mlflow.models import Model

        from spark_scoring.models import flavor

        logged = Model.log(
            None, name=name, flavor=flavor, registered_model_name=registered_model_name,
            model=model, wide=wide, sample=sample, **options,
        )  # fmt: skip
        if registered_model_name:
            digest = logged.flavors[FLAVOR]["digest"]
            version = logged.registered_model_version
            MlflowClient().set_model_version_tag(registered_model_name, version, DIGEST_TAG, digest)
        return logged


def load_model(
    uri: str, *, registry: str | None = None, cache_dir: Path | None = None, trust: Sequence[str] = ()
) -> LoadedModel:
    """The package and its model, ready for use in Python; `registry` is MLflow's current one if not given.

    `trust` names packages, by URI or digest, whose code may run although no registry vouches for them.
    """
    with quiet():
        import mlflow

        where = registry or mlflow.get_tracking_uri()
    return load_package(resolve(uri, registry=where, cache_dir=cache_dir or temporary_cache(), trust=trust))


def _load_pyfunc(path: str) -> LoadedModel:
    """What `mlflow.pyfunc.load_model` wraps."""
    return load_package(read_package(Path(path), uri=path))


def package(
    model: Any,
    *,
    wide: WideTable,
    sample: Sample,
    name: str,
    registry: str,
    alias: str | None = None,
    trust: bool = False,
    **options: Any,
) -> Package:
    """Package a fitted model, register it as the next version of `name` and let `alias` point to it.

    `model` is the model itself, a file or an MLflow URI; with `trust` one that runs code when it is read.
    `options` are those of `save_model`. The registry needs a database store, as in `sqlite:///path/mlflow.db`,
    whose files then lie beside it.

    Raises: ConfigError if model, wide table and sample do not fit together, or a registry takes no such name or alias;
        RunError if the registry is away.
    """
    check_names(name, alias=alias)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "package"
        if isinstance(model, str | Path):
            model = read_source(str(model), Path(scratch) / "source", registry=registry, trust=trust)
        save_model(model, folder, wide=wide, sample=sample, **options)
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


def resolve(uri: str, *, registry: str, cache_dir: Path, trust: Sequence[str] = ()) -> Package:
    """The package behind a URI, in a local folder, its alias pinned to a version and its files checked.

    Downloads are kept in `cache_dir` by digest. Library versions that differ are logged as warnings. Code in a
    package needs a digest in the registry, or its URI or digest in `trust`.

    Raises: ConfigError, RunError: see `spark_scoring.errors`, each says what there is.
    """
    parsed = parse_model_uri(uri)
    if parsed.folder is not None:
        found, vouched = read_package(parsed.folder, uri=uri), False
    else:
        with client_of(registry) as client:
            found, vouched = _fetch(client, parsed, registry=registry, cache_dir=cache_dir)
    check_trusted(found, asked=uri, vouched=vouched, trust=trust)
    check_installed(found.runtime)
    for line in library_differences(found):
        logger.warning("%s: %s", found.uri, line)
    return found


def _fetch(client: Any, uri: ModelUri, *, registry: str, cache_dir: Path) -> tuple[Package, bool]:
    """The package, and whether the registry knows its digest."""
    if uri.name is None:
        fetch = partial(download, place=partial(place_of, client, uri), registry=registry)
        return read_package(kept(uri.text, cache_dir=cache_dir, digest=None, fetch=fetch), uri=uri.text), False
    version = version_of(client, uri)
    number, tag = str(version.version), version.tags.get(DIGEST_TAG)
    digest = tag if is_digest(tag) else None
    pinned = f"models:/{uri.name}/{number}"
    place = partial(place_of, client, replace(uri, alias=None, version=number))
    fetch = partial(download, place=place, registry=registry)
    folder = kept(pinned, cache_dir=cache_dir, digest=digest, fetch=fetch)
    return read_package(folder, uri=pinned, name=uri.name, version=number), digest is not None
