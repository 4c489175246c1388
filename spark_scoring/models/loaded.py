"""A package loaded into this process."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from spark_scoring.models.blocks import score_blocks
from spark_scoring.models.cache import load_model_files
from spark_scoring.models.contract import Predict
from spark_scoring.models.frames import to_arrow
from spark_scoring.models.package import Package


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
    """The model of a package, loaded here."""
    return LoadedModel(package=package, score=load_model_files(package.path, spec=package.spec))
