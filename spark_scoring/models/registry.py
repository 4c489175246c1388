"""MLflow's registries, spoken to by one client each: quiet, and with errors that say what there is."""

import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spark_scoring.errors import (
    SparkScoringError,
    bad_value,
    missing_artifact,
    missing_driver,
    no_registry,
    registry_unreachable,
    unknown_alias,
    unknown_model,
    unknown_version,
)
from spark_scoring.models.uris import (
    ModelUri,
    check_reachable,
    first_line,
    sqlite_file,
    without_password,
)

EXPERIMENT = "spark_scoring"
DIGEST_TAG = "spark_scoring.digest"
MOST_NAMES = 50


@contextmanager
def client_of(registry: str, *, create: bool = False) -> Iterator[Any]:
    """MLflow's client of one registry, quiet; what MLflow or its database raises becomes one clear error."""
    if not registry.strip():
        raise no_registry()
    file = sqlite_file(registry)
    if create and file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    else:
        check_reachable(registry)
    with quiet():
        try:
            yield _connected(registry)
        except SparkScoringError:
            raise
        except Exception as error:
            if type(error).__module__.split(".")[0] not in ("mlflow", "sqlalchemy", "requests"):
                raise
            raise _unreachable(registry, error) from None


def _connected(registry: str) -> Any:
    from mlflow import MlflowClient

    try:
        return MlflowClient(registry, registry)
    except ModuleNotFoundError as error:
        raise missing_driver(without_password(registry), module=str(error.name)) from None
    except Exception as error:  # noqa: BLE001  drivers raise what they will for a URI that they cannot read
        raise _unreachable(registry, error) from None


def _unreachable(registry: str, error: Exception) -> SparkScoringError:
    return registry_unreachable(without_password(registry), reason=first_line(error, registry=registry))


@contextmanager
def quiet() -> Iterator[None]:
    """MLflow without its telemetry, progress bars, advice and migration logs: users read our lines."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.sklearn  # noqa: F401 - it sets up the loggers

        levels = [one.level for one in loggers]
        for one in loggers:
            one.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for one, level in zip(loggers, levels, strict=True):
                one.setLevel(level)


def place_of(client: Any, uri: ModelUri) -> str:
    """Where the files of a registered or logged model lie."""
    if uri.name is not None:
        return str(client.get_model_version_download_uri(uri.name, version_of(client, uri).version))
    if uri.text.startswith("models:/"):
        return str(client.get_logged_model(uri.text.removeprefix("models:/")).artifact_location)
    return _place_in_run(client, uri.text)


def _place_in_run(client: Any, uri: str) -> str:
    """The model of that name that the run logged, else the run's own files: MLflow 3 keeps them apart."""
    _, run_id, name = uri.split("/", 2)
    experiment = client.get_run(run_id).info.experiment_id
    named = f"source_run_id = '{run_id}' AND name = '{name}'"
    found = client.search_logged_models([experiment], filter_string=named, max_results=1)
    return str(found[0].artifact_location) if found else uri


def download(uri: str, scratch: Path, *, place: Callable[[], str], registry: str) -> Path:
    """The folder with the files of `uri`, below `scratch`.

    Asked by place: for a `models:/` URI MLflow goes to its global registry, whatever registry it is told.

    Raises: RunError if they are not there.
    """
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    scratch.mkdir(exist_ok=True)
    try:
        return Path(mlflow.artifacts.download_artifacts(place(), dst_path=str(scratch), tracking_uri=registry))
    except (MlflowException, OSError) as error:
        raise missing_artifact(uri, reason=first_line(error, registry=registry)) from None


def check_names(name: str, *, alias: str | None) -> None:
    """Nothing, if a registry takes the name and the alias.

    Raises: ConfigError.
    """
    if not re.fullmatch(r"[^/:@%]+", name) or name.strip(" .") != name:
        raise bad_value("name of the model", given=name, allowed="a name without '/', ':', '@' and '%'")
    if alias is not None and (not re.fullmatch(r"[\w-]{1,255}", alias) or re.fullmatch(r"(?i)v\d+|latest", alias)):
        raise bad_value("alias", given=alias, allowed="letters, digits, '_' and '-', but not 'latest' nor as in 'v1'")


def version_of(client: Any, uri: ModelUri) -> Any:
    """MLflow's ModelVersion behind a name with an alias or a version.

    Raises: RunError that names what there is.
    """
    name = str(uri.name)
    registered = _found(lambda: client.get_registered_model(name))
    if registered is None:
        known = [model.name for model in client.search_registered_models(max_results=MOST_NAMES)]
        raise unknown_model(uri.text, name=name, known=known)
    if uri.alias and uri.alias not in registered.aliases:
        raise unknown_alias(uri.text, alias=uri.alias, known=registered.aliases)
    number = str(registered.aliases[uri.alias]) if uri.alias else str(uri.version)
    version = _found(lambda: client.get_model_version(name, number))
    if version is None:
        versions = client.search_model_versions(f"name='{name}'", max_results=MOST_NAMES)
        raise unknown_version(uri.text, version=number, known=[str(one.version) for one in versions])
    return version


def _found(ask: Callable[[], Any]) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def log_folder(client: Any, folder: Path, *, name: str, experiment: str) -> str:
    """The id of a new logged model that holds the folder's files."""
    from mlflow.models import Model

    logged = client.create_logged_model(experiment, name=name)
    model = Model.load(str(folder / "MLmodel"))
    model.model_id = model.model_uuid = logged.model_id
    model.save(str(folder / "MLmodel"))
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")
    return str(logged.model_id)


def register(client: Any, name: str, *, model_id: str, digest: str) -> str:
    """The number of the version that now holds this logged model."""
    import mlflow

    if _found(lambda: client.get_registered_model(name)) is None:
        client.create_registered_model(name)
    before = os.environ.get("MLFLOW_TRACKING_URI")  # set_tracking_uri always writes it there too
    try:
        # a database store looks the model up in the global tracking server, whatever the client's is
        mlflow.set_tracking_uri(client.tracking_uri)
        tags = {DIGEST_TAG: digest}
        version = client.create_model_version(name, f"models:/{model_id}", tags=tags, model_id=model_id)
    finally:
        mlflow.set_tracking_uri(before)
    return str(version.version)


def experiment_of(client: Any, *, registry: str) -> str:
    """The id of our experiment. Its models lie beside a database file, not in the working directory."""
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is not None:
        return str(found.experiment_id)
    file = sqlite_file(registry)
    place = None if file is None else (file.parent.resolve() / "mlflow-artifacts").as_uri()
    return str(client.create_experiment(EXPERIMENT, artifact_location=place))
