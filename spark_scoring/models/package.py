"""A package: an MLflow model folder with its wide table, contract, golden sample and baseline."""

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from spark_scoring.errors import not_a_package, package_changed
from spark_scoring.models.contract import FORMAT, Feature, ModelSpec, Task, Tolerance
from spark_scoring.models.libraries import version_of
from spark_scoring.models.prepare import FILE as PREPARE
from spark_scoring.spec.wide import WideTable

SPEC, WIDE, GOLDEN, BASELINE = "package.json", "wide.yaml", "golden.parquet", "baseline.json"
MLMODEL, FLAVOR = "MLmodel", "spark_scoring"
# MLflow's own book-keeping: rewritten at registration and download, and read by nothing that scores.
BOOKKEEPING = frozenset({
    MLMODEL, "registered_model_meta", "conda.yaml", "python_env.yaml", "requirements.txt",
    "environment_variables.txt",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Package:
    """One version of a model, in a local folder, with all that scoring and checking it needs."""

    name: str
    version: str
    digest: str
    uri: str
    path: Path
    wide: WideTable
    spec: ModelSpec

    @property
    def features(self) -> tuple[Feature, ...]:
        """The columns of the wide table that the model reads, in the model's order."""
        return self.spec.features

    @property
    def task(self) -> Task:
        return self.spec.task

    @property
    def classes(self) -> tuple[str, ...]:
        return self.spec.classes

    @property
    def runtime(self) -> str:
        return self.spec.runtime

    @property
    def tolerance(self) -> Tolerance:
        return self.spec.tolerance

    @property
    def libraries(self) -> tuple[tuple[str, str], ...]:
        """Names and versions of the libraries that the golden sample was scored with."""
        return self.spec.libraries

    @property
    def golden(self) -> Path:
        """Parquet: the features of a sample of wide rows, with their `score` and `label`."""
        return self.path / GOLDEN

    @property
    def baseline(self) -> Path:
        """JSON: counts, nulls, mean, deviation, quantiles and commonest values of features and scores."""
        return self.path / BASELINE


def unregistered(digest: str) -> str:
    """The version of a package that no registry has given one."""
    return digest[:12]


def read_package(path: Path, *, uri: str, name: str | None = None, version: str | None = None) -> Package:
    """The package in a folder; without a registered name and version the digest stands in for both.

    Raises: ConfigError if the folder holds something else. RunError if a file is not what it was when packaged.
    """
    if missing := [part for part in (SPEC, WIDE, GOLDEN) if not (path / part).is_file()]:
        raise not_a_package(uri, missing=missing)
    if any(file.is_symlink() and file.is_dir() for file in path.rglob("*")):
        raise not_a_package(uri, missing=["folders of its own: a link to a folder leads out of it"])
    digest, recorded = digest_of(path), _recorded_digest(path, uri=uri)
    if recorded and recorded != digest:
        raise package_changed(uri, given=digest, expected=recorded)
    try:
        spec = ModelSpec.load(path / SPEC)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        raise not_a_package(uri, missing=[f"a {SPEC} of format {FORMAT}"]) from None
    if missing := [part for part in (spec.file, *([PREPARE] if spec.prepare else [])) if not (path / part).exists()]:
        raise not_a_package(uri, missing=missing)
    wide = WideTable.load(path / WIDE)
    return Package(
        name=name or wide.name,
        version=version or unregistered(digest),
        digest=digest,
        uri=uri,
        path=path,
        wide=wide,
        spec=spec,
    )


def _recorded_digest(path: Path, *, uri: str) -> str | None:
    """What the folder says of itself: a slip is found even where no registry knows better."""
    if not (path / MLMODEL).is_file():
        return None
    try:
        digest = flavors_in(path).get(FLAVOR, {}).get("digest")
    except (AttributeError, RecursionError, ValueError):
        raise not_a_package(uri, missing=[f"an {MLMODEL} that can be read"]) from None
    if digest is not None and not is_digest(digest):
        raise not_a_package(uri, missing=[f"a digest in its {MLMODEL}"])
    return digest


def flavors_in(path: Path) -> dict[str, Any]:
    """What the MLmodel of a folder says, by flavor.

    Raises: ValueError: it says nothing of the kind.
    """
    try:
        said = yaml.safe_load((path / MLMODEL).read_text("utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError from error
    flavors = said.get("flavors", {}) if isinstance(said, dict) else None
    if not isinstance(flavors, dict):
        raise ValueError(f"{MLMODEL} has no flavors")
    return flavors


def files_in(path: Path) -> list[Path]:
    """All files but byte code that Python left beside its source; nothing behind a link to a folder."""
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.relative_to(path).parts]


def digest_of(path: Path) -> str:
    """sha256 over the sorted (path, sha256) pairs of all files but byte code and MLflow's book-keeping.

    What is left out cannot reach a score: scoring reads `package.json` and the file it names, no `MLmodel`, and runs
    source alone.
    """
    whole = hashlib.sha256()
    for name, file in sorted((file.relative_to(path).as_posix(), file) for file in files_in(path)):
        if name not in BOOKKEEPING:
            line = f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n"
            whole.update(line.encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def is_digest(given: object) -> TypeGuard[str]:
    """Whether it looks like what `digest_of` gives: nothing else may name a folder."""
    return isinstance(given, str) and re.fullmatch("[0-9a-f]{64}", given) is not None


def check_unchanged(package: Package) -> None:
    """Nothing, if the files are what they were when the package was opened.

    Raises: RunError.
    """
    if (given := digest_of(package.path)) != package.digest:
        raise package_changed(package.uri, given=given, expected=package.digest)


def library_differences(package: Package) -> tuple[str, ...]:
    """One line for each library whose version here is not the one that the package was made with."""
    here = {name: version_of(name) or "not installed" for name, _ in package.libraries}
    return tuple(
        f"packaged with {name} {recorded}, here it is {here[name]}"
        for name, recorded in package.libraries
        if here[name] != recorded
    )


def described(package: Package) -> str:
    """One line: name, version, what scores it and why, and the libraries that are not those it was made with."""
    why = f" ({package.spec.why})" if package.spec.why else ""
    code = f", behind its feature code '{package.spec.prepare}'" if package.spec.prepare else ""
    differences = "".join(f"; {line}" for line in library_differences(package))
    return f"{package.name} {package.version}: {package.runtime}{why}{code}{differences}"


def archive_of(package: Package) -> bytes:
    """The files that a worker needs to load the model, as one zip.

    Raises: RunError: a file is no longer what it was when the package was opened.
    """
    check_unchanged(package)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for file in _needed(package):
            archive.write(file, file.relative_to(package.path))
    return content.getvalue()


def _needed(package: Package) -> list[Path]:
    model = package.path / package.spec.file
    files = files_in(model) if model.is_dir() else [model]
    return [*files, package.path / PREPARE] if package.spec.prepare else files
