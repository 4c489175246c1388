"""An entry of `scores` as a Spark column, made by the JVM."""

import atexit
import shutil
import tempfile
from collections.abc import Iterable, Mapping
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


def entry(model: Compiled, *, role: str, package: Package, wanted: Column, columns: Mapping[str, str]) -> Column:
    """The entry of a model for each wanted row, null for the others. The functions of the JVM must be ready.

    `columns`: where features stand in the frame, by their names in lower case, if not under their own.
    """
    name = _text(model.key, str(_file(model)), role, package.name, package.version)
    # as SQL: a column is a handful of calls to the JVM
    there = {name: columns.get(name.lower(), name) for name in (*model.numbers, *model.texts)}
    numbers = ", ".join(f"coalesce(cast(`{there[name]}` as double), double('NaN'))" for name in model.numbers)
    texts = ", ".join(f"`{there[name]}`" for name in model.texts)
    return F.call_function(
        f"{CATALOG}.`scores:{name}`",
        wanted,
        F.expr(f"cast(array({numbers}) as array<double>)"),
        F.expr(f"cast(array({texts}) as array<string>)"),
    )


def answered(answer: Column, models: Iterable[tuple[str, Package]]) -> Column:
    """The entries of these roles and models, of what the workers said of them; null where they said nothing."""
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
