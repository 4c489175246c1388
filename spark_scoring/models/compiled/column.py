"""Entries of `scores` as a Spark column, made by the JVM."""

import atexit
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import time as now
from urllib.parse import quote

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_scoring.jvm.functions import CATALOG
from spark_scoring.models.compiled.compile import Compiled
from spark_scoring.models.package import Package

BUDGET_BYTES = 2**30
PLANNED_S = 600


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A compiled model with its role in a frame.

    `columns`: where features stand there, by their names in lower case, if not under their own.
    """

    form: Compiled
    role: str
    package: Package
    columns: Mapping[str, str]

    @property
    def numbers(self) -> list[str]:
        return self._there(self.form.numbers)

    @property
    def texts(self) -> list[str]:
        return self._there(self.form.texts)

    def _there(self, names: Iterable[str]) -> list[str]:
        return [self.columns.get(name.lower(), name).lower() for name in names]


def compiled_entries(models: Sequence[Placed], wanted: Column) -> Column:
    """The entries of the models for each wanted row, null for the others. The functions of the JVM must be ready."""
    numbers = list(dict.fromkeys(name for model in models for name in model.numbers))
    texts = list(dict.fromkeys(name for model in models for name in model.texts))
    told = ",".join(
        _text(
            model.form.key, str(_file(model.form)), model.role, model.package.name, model.package.version,
            _places(model.numbers, among=numbers), _places(model.texts, among=texts),
        )
        for model in models
    )  # fmt: skip
    # as SQL: a column is a handful of calls to the JVM
    doubles = ", ".join(f"cast(`{name}` as double)" for name in numbers)
    strings = ", ".join(f"`{name}`" for name in texts)
    return F.call_function(
        f"{CATALOG}.`scores:{told}`",
        wanted,
        F.expr(f"cast(array({doubles}) as array<double>)"),
        F.expr(f"cast(array({strings}) as array<string>)"),
    )


def _places(names: Sequence[str], *, among: Sequence[str]) -> str:
    return "*" if names == among else ".".join(str(among.index(name)) for name in names)


def answered(answer: Column, models: Iterable[tuple[str, Package]]) -> Column:
    """The entries of these roles and models, of what workers said of them; null where they said nothing."""
    names = ",".join(_text(role, package.name, package.version, *package.classes) for role, package in models)
    return F.call_function(f"{CATALOG}.`answered:{names}`", answer)


def _text(*parts: str) -> str:
    return "/".join(quote(part, safe="") for part in parts)


def _file(model: Compiled) -> Path:
    """The model's content in a file: the JVM reads it once, while the plan is made."""
    file = _folder() / model.key
    if file.exists():
        file.touch()
    else:
        _make_room(len(model.content))
        file.write_bytes(model.content)
    return file


def _make_room(wanted_bytes: int) -> None:
    """Give up the files used longest ago; none that a plan in the making may still need."""
    ages = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in _folder().iterdir())
    used = wanted_bytes + sum(size for _, size, _ in ages)
    for touched, size, file in ages:
        if used <= BUDGET_BYTES or now() - touched < PLANNED_S:
            return
        file.unlink()
        used -= size


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="spark-scoring-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
