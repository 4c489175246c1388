"""Downloaded packages, kept in a folder under their digests."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from spark_scoring.errors import foreign_cache, package_changed
from spark_scoring.models.package import digest_of, read_package
from spark_scoring.models.uris import sqlite_file


def kept(uri: str, *, cache_dir: Path, digest: str | None, fetch: Callable[[str, Path], Path]) -> Path:
    """The folder with the package's files, fetched unless they are there; `fetch` is given a scratch folder.

    Raises: ConfigError if it is no package, RunError if its digest is not the one registered.
    """
    if digest and _holds(cache_dir / digest, digest):
        return cache_dir / digest
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir) as scratch:
        folder = fetch(uri, Path(scratch))
        read_package(folder, uri=uri)
        given = digest_of(folder)
        if digest and given != digest:
            raise package_changed(uri, given=given, expected=digest)
        if not _holds(cache_dir / given, given):
            folder.rename(cache_dir / given)
    return cache_dir / given


def _holds(folder: Path, digest: str) -> bool:
    """Whether the folder's files are those of the digest; what is something else is removed."""
    if folder.is_dir() and not folder.is_symlink():
        if digest_of(folder) == digest:
            return True
        shutil.rmtree(folder)
    folder.unlink(missing_ok=True)
    return False


def cache_beside(registry: str) -> Path:
    """Where packages are kept if nobody says: beside the database file, else among the temporary files."""
    file = sqlite_file(registry)
    return temporary_cache() if file is None else file.parent / "spark-scoring-packages"


def temporary_cache() -> Path:
    """This user's folder for packages among the temporary files.

    Raises: RunError: it is there, and others can write into it.
    """
    folder = Path(tempfile.gettempdir()) / f"spark-scoring-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise foreign_cache(str(folder))
    return folder
