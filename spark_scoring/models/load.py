"""A fitted estimator from where users keep it: a joblib or pickle file, or a model that MLflow has logged."""

from pathlib import Path
from typing import Any

import joblib

from spark_scoring import errors

SUFFIXES = (".joblib", ".pkl", ".pickle")


def estimator(source: str, *, registry: str) -> Any:
    """The fitted scikit-learn estimator at a path or MLflow URI. Unpickling runs the code in the file.

    Raises: ConfigError: no such file, or a format that is not known. RunError: it cannot be read.
    """
    if ":/" in source:
        from spark_scoring.models.flavor import native

        return native(source, registry=registry)
    path = Path(source)
    if path.suffix not in SUFFIXES:
        raise errors.unknown_format(source, allowed=SUFFIXES)
    if not path.is_file():
        raise errors.missing_file(source)
    try:
        return joblib.load(path)
    except Exception as error:  # noqa: BLE001 - reading a pickle runs what is in it, and raises whatever that raises
        reason = str(error).splitlines()[0] if str(error) else "it holds no model"
        raise errors.unreadable_model(source, reason=f"{type(error).__name__}: {reason}") from None
