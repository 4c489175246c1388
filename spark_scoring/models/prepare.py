"""Feature code of a package: `prepare(frame) -> frame`, run beside the model, before it."""

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from spark_scoring.errors import missing_file, no_prepare, prepare_unreadable
from spark_scoring.models.blocks import filled
from spark_scoring.models.contract import FRAMED, Feature, FeatureError, ModelSpec, Outputs, Predict, scattered
from spark_scoring.models.frames import alike, frame_of, to_arrow

FILE = "prepare.py"
Prepare: TypeAlias = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True, kw_only=True)
class FeatureCode:
    """A function of a Python file; the file becomes part of the package, so it must stand alone."""

    path: Path
    function: str

    @staticmethod
    def parse(text: str) -> "FeatureCode":
        """`file.py:function`.

        Raises: ConfigError if it is something else, or there is no such file.
        """
        path, _, function = text.rpartition(":")
        if not path.endswith(".py") or not function.isidentifier():
            raise no_prepare(text)
        if not Path(path).is_file():
            raise missing_file(path)
        return FeatureCode(path=Path(path), function=function)

    def load(self) -> Prepare:
        """The function. This runs the file, from its text: byte code beside it is in no digest.

        Raises: ConfigError: the file cannot be run, or has no such function.
        """
        spec = importlib.util.spec_from_file_location("spark_scoring_prepare", self.path)
        assert spec is not None  # a .py file has one
        module = importlib.util.module_from_spec(spec)
        try:
            exec(compile(self.path.read_bytes(), str(self.path), "exec"), vars(module))
            found: Prepare = getattr(module, self.function)
        except Exception as error:
            raise prepare_unreadable(self.path.name, function=self.function, reason=type(error).__name__) from error
        return found


def run(
    prepare: Prepare, batch: pa.RecordBatch, *, read: Sequence[Feature], features: Sequence[Feature]
) -> pa.RecordBatch:
    """The model's columns of a batch of wide rows, in their types; each row as it would be by itself.

    Raises: FeatureError: the code raised, lost a row, or made something of another type.
    """
    groups = alike(batch, read)
    if len(groups) == 1:
        return _run(prepare, batch, read=read, features=features)
    parts = [_run(prepare, batch.take(pa.array(rows)), read=read, features=features) for rows in groups]
    return (
        pa.Table.from_batches(parts).take(pa.array(np.argsort(np.concatenate(groups)))).combine_chunks().to_batches()[0]
    )


def _run(
    prepare: Prepare, batch: pa.RecordBatch, *, read: Sequence[Feature], features: Sequence[Feature]
) -> pa.RecordBatch:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each block would fill the workers' logs
            return to_arrow(_same_rows(prepare(frame_of(batch, read)), batch.num_rows), tuple(features))
    except Exception as error:
        raise FeatureError(type(error).__name__) from error


def _same_rows(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    if len(frame) != rows:
        raise ValueError(f"{len(frame)} rows of {rows}")
    return frame


def before(predict: Predict, *, code: FeatureCode, spec: ModelSpec) -> Predict:
    """The model behind its feature code."""
    return partial(_predict, prepare=code.load(), predict=predict, spec=spec)


def _predict(batch: pa.RecordBatch, *, prepare: Prepare, predict: Predict, spec: ModelSpec) -> Outputs:
    made = run(prepare, batch, read=spec.features, features=spec.prepared)
    groups = alike(made, spec.prepared if spec.runtime in FRAMED else ())
    if len(groups) == 1:
        return predict(made)
    parts = [predict(filled(made.take(pa.array(rows)), made.num_rows)) for rows in groups]
    return scattered(parts, groups)
