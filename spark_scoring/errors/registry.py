"""Where models come from: registries, addresses, and whom their code is believed."""

from collections.abc import Iterable

from spark_scoring.errors.base import ConfigError, RunError, did_you_mean, listed


def untrusted_model(source: str, *, types: Iterable[str]) -> RunError:
    return RunError(
        f"{source}: holds types that are not trusted: {listed(types)}. "
        "Trusted: classes of scikit-learn and numpy.dtype. Package the model again with spark-scoring."
    )


def package_changed(uri: str, *, given: str, expected: str) -> RunError:
    return RunError(
        f"{uri}: the files have digest {given[:12]}, registered was {expected[:12]}: "
        "they changed after packaging. Package the model again."
    )


def foreign_cache(folder: str) -> RunError:
    return RunError(
        f"{folder}: packages are kept there, and it is no folder that you alone can write into. "
        "Move it away; it is made again."
    )


def wrong_model_uri(given: str) -> ConfigError:
    return ConfigError(
        f"'{given}' names no model. Allowed: models:/name@alias, models:/name/3, runs:/run_id/name, a folder."
    )


def no_models() -> ConfigError:
    return ConfigError(
        "score_rows: it is given no model. Give one or more: models:/name@alias, the folder of a package, "
        "or what spark_scoring.package(…) returned."
    )


def unknown_model(uri: str, *, name: str, known: Iterable[str]) -> RunError:
    names = tuple(known)
    return RunError(
        f"{uri}: the registry has no model '{name}'.{did_you_mean(name, names)} There are: {listed(names)}. "
        "Register it with 'spark-scoring package'."
    )


def unknown_version(uri: str, *, version: str, known: Iterable[str]) -> RunError:
    return RunError(f"{uri}: there is no version {version}. There are: {listed(known)}. Name one of them.")


def unknown_alias(uri: str, *, alias: str, known: Iterable[str]) -> RunError:
    names = tuple(known)
    return RunError(
        f"{uri}: there is no alias '{alias}'.{did_you_mean(alias, names)} There are: {listed(names)}. "
        "Set it with 'spark-scoring package --alias', or name a version."
    )


def missing_artifact(uri: str, *, reason: str) -> RunError:
    return RunError(f"{uri}: its files cannot be fetched: {reason}. Look into the registry's artifact store.")


def registry_unreachable(registry: str, *, reason: str) -> RunError:
    return RunError(
        f"registry {registry}: cannot be reached: {reason}. "
        "Check 'registry' of the job, and that the server runs or the database file is there."
    )


def no_registry() -> ConfigError:
    return ConfigError("the registry's URI is empty. Give one, as in --registry sqlite:///mlflow.db.")


def missing_driver(registry: str, *, module: str) -> RunError:
    package = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}.get(
        module, module
    )
    return RunError(
        f"registry {registry}: its database needs the Python module '{module}', which is not installed. "
        f"Run 'pip install {package}' where this command runs."
    )


def other_digest(uri: str, *, planned: str, found: str) -> RunError:
    return RunError(
        f"{uri}: its files are not those of the plan (digest {found[:12]}, planned {planned[:12]}). "
        "Register the original files again under a new version."
    )


def untrusted_source(source: str, *, what: str) -> ConfigError:
    return ConfigError(
        f"--model {source}: {what}, and reading it runs the code in it. If you know who made it, add --trust. "
        "Formats that run no code: .skops, .onnx, LightGBM's .txt, XGBoost's .ubj and .json, .pmml."
    )


def untrusted_code(uri: str, *, what: Iterable[str], digest: str) -> ConfigError:
    return ConfigError(
        f"{uri}: the package holds {' and '.join(what)}, which runs code when it is loaded, and no digest in the job's "
        f"registry vouches for it. If you know who made it, add its URI or its digest "
        f"to 'trust' of the job: {digest}."
    )


def not_mlflow(source: str) -> ConfigError:
    return ConfigError(
        f"--model {source}: the folder holds no MLmodel that can be read. Give an MLflow model, a model file or a URI."
    )
