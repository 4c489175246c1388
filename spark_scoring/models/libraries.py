"""The libraries that runtimes stand on: which there are here, in which version, and how to get the others."""

import importlib.metadata
import importlib.util
from collections.abc import Iterable

from spark_scoring.errors import library_missing

# import name -> the packages that bring it, the one to ask for first
DISTRIBUTIONS = {
    "sklearn": ("scikit-learn",),
    "xgboost": ("xgboost-cpu", "xgboost"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "jpype": ("jpype1",),
}
# runtime -> what it imports; the extra of this package has the runtime's name
NEEDED = {
    "sklearn": (),
    "lightgbm": ("lightgbm",),
    "xgboost": ("xgboost",),
    "onnx": ("onnxruntime",),
    "pmml": ("pypmml", "jpype"),
    "pyfunc": (),
}


def check_installed(runtime: str) -> None:
    """Nothing, if the libraries of a runtime are there.

    Raises: ConfigError that says what to install.
    """
    for name in NEEDED[runtime]:
        if importlib.util.find_spec(name) is None:
            raise library_missing(runtime, library=_names(name)[0])


def version_of(name: str) -> str | None:
    """The installed version behind an import name or a package name; None if there is none."""
    return next((version for one in _names(name) if (version := _version(one))), None)


def versions_of(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Name and version of each, as installed here; what is no package of its own is left out."""
    found = ((name, version_of(name)) for name in names)
    return tuple((name, version) for name, version in found if version)


def requirements_of(libraries: Iterable[tuple[str, str]]) -> list[str]:
    """The same as pip reads it."""
    return [f"{next((one for one in _names(name) if _version(one)), name)}=={version}" for name, version in libraries]


def _names(name: str) -> tuple[str, ...]:
    return DISTRIBUTIONS.get(name, (name,))


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
