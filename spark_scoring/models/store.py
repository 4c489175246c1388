"""Downloaded packages, kept in a folder under their digests."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from spark_scoring.errors import package_changed
from spark_scoring.models.package import digest_of, read_package
from spark_scoring.models.uris import sqlite_file


def kept(uri: str, *, cache_dir: Path, digest: str | None, fetch: Callable[[str, Path], Path]) -> Path:
    """The folder with the package's files, fetched unless they are there; `fetch` is given a scratch folder.

    Raises: ConfigError if it is no package, RunError if its digest is not the one registered.
    """
    if digest and (cache_dir / digest).is_dir():
        if digest_of(cache_dir / digest) == digest:
            return cache_dir / digest
        shutil.rmtree(cache_dir / digest)
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir) as scratch:
        folder = fetch(uri, Path(scratch))
        read_package(folder, uri=uri)
        given = digest_of(folder)
        if digest and given != digest:
            raise package_changed(uri, given=given, expected=digest)
        if not (cache_dir / given).is_dir():
            folder.rename(cache_dir / given)
    return cache_dir / given


def cache_beside(registry: str) -> Path:
    """Where packages are kept if nobody says: beside the database file, else among the temporary files."""
    file = sqlite_file(registry)
    return temporary_cache() if file is None else file.parent / "spark-scoring-packages"


def temporary_cache() -> Path:
    """This user's folder for packages among the temporary files."""
    return Path(tempfile.gettempdir()) / f"spark-scoring-{os.getuid()}"
