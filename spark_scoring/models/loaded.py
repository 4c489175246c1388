"""A package loaded into this process."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from spark_scoring.errors import SparkScoringError, unreadable_package
from spark_scoring.models.blocks import score_blocks
from spark_scoring.models.cache import load_model_files
from spark_scoring.models.contract import Predict
from spark_scoring.models.frames import to_arrow
from spark_scoring.models.package import Package, check_unchanged
from spark_scoring.models.uris import first_line


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A package and its model, in this process; MLflow calls `predict` when it is loaded as a pyfunc."""

    package: Package
    score: Predict

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """`score` and `label` for wide rows, by the code of the workers; missing where a row failed."""
        batch, spec = to_arrow(model_input, self.package.features), self.package.spec
        scored = score_blocks(batch, predict=self.score, framed=spec.framed)
        return pd.DataFrame({"score": scored.score, "label": scored.label}, index=model_input.index)


def load_package(package: Package) -> LoadedModel:
    """The model of a package, loaded here.

    Raises: RunError: its files changed since it was opened, or hold no model of its format.
    """
    check_unchanged(package)
    try:
        score = load_model_files(package.path, spec=package.spec)
    except SparkScoringError:
        raise
    except Exception as error:  # noqa: BLE001 - each library has errors of its own
        raise unreadable_package(package.uri, reason=f"{type(error).__name__}: {first_line(error)}") from None
    return LoadedModel(package=package, score=score)
