"""A model to be read from wherever users keep it."""

from pathlib import Path
from typing import Any

from models_data import fitted
from runtime_models import SAMPLE, native_frame
from sklearn.linear_model import LogisticRegression

from spark_scoring.models.source import read_source

LINE = fitted(LogisticRegression(), SAMPLE)
NUMBERS = native_frame(SAMPLE)[["distance", "seats"]]


def read(source: Any, folder: Path, *, trust: bool = False, registry: str = "none") -> Any:
    return read_source(str(source), folder / "scratch", registry=registry, trust=trust)
