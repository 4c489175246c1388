"""The pyfunc runtime: any MLflow pyfunc model, in its own words. Loading it runs its code."""

import atexit
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from threadpoolctl import ThreadpoolController

from spark_scoring.errors import ambiguous_output, unnamed_inputs, unsupported_model
from spark_scoring.models.contract import Inputs, ModelSpec, Outputs, Predict, Saved, Tolerance, labelled, unlabelled
from spark_scoring.models.frames import frame_of, to_pandas
from spark_scoring.models.matrix import check_names
from spark_scoring.models.package import files_in
from spark_scoring.models.registry import quiet

FOLDER = "pyfunc"
LIBRARIES = ("mlflow", "numpy", "pandas", "pyarrow")
LABEL = "label"


def input_names(model: Any) -> tuple[str, ...]:
    """The columns of the model's signature.

    Raises: ConfigError if it has none.
    """
    names = _signature(model) if isinstance(model, Path) else None
    if not names:
        raise unnamed_inputs("pyfunc model")
    return names


def save(model: Any, folder: Path, *, inputs: Inputs, output: str | None) -> Saved:
    """Write the model, or copy its folder; what comes out is seen on the sample.

    Raises: ConfigError: several outputs could be the score, or no row of the sample has a label.
    """
    _write(model, folder / FOLDER)
    found = _table(_loaded(folder / FOLDER).predict(to_pandas(inputs.model_sample)))
    score = _score_name(found, output)
    labels = sorted({str(one) for one in found[LABEL].dropna()}) if _has_label(found, score) else []
    if not labels and _has_label(found, score):
        raise unsupported_model(
            "pyfunc",
            why=f"it has a column '{LABEL}' that is null for every row of the sample",
            do="Take a sample that shows labels, or leave that column out",
        )
    return Saved(
        file=FOLDER,
        serialization="pyfunc",
        # those that the sample shows; rows with another label have it all the same
        classes=tuple(labels),
        tolerance=Tolerance(relative=1e-9),
        libraries=LIBRARIES,
        output=score,
    )


def load(folder: Path, spec: ModelSpec) -> Predict:
    """The function from a batch of input columns to outputs, on one thread."""
    kept = _kept(folder / spec.file)
    check_names(spec, _signature(kept))
    model = _loaded(kept)
    return partial(_predict, model=model, spec=spec, threads=ThreadpoolController())


def _predict(batch: pa.RecordBatch, *, model: Any, spec: ModelSpec, threads: ThreadpoolController) -> Outputs:
    with threads.limit(limits=1):
        found = _table(model.predict(frame_of(batch, spec.inputs)))
    values = found[spec.output].to_numpy(dtype=np.float64, na_value=np.nan)
    if not spec.classes:
        return unlabelled(values)
    return labelled(values, (None if pd.isna(one) else str(one) for one in found[LABEL]))


def _table(found: Any) -> pd.DataFrame:
    """Whatever a pyfunc returns, as columns with text names."""
    frame = found if isinstance(found, pd.DataFrame) else pd.DataFrame(np.asarray(found))
    return frame.set_axis([str(name) for name in frame.columns], axis=1)


def _has_label(found: pd.DataFrame, score: str) -> bool:
    return LABEL in found.columns and score != LABEL


def _score_name(found: pd.DataFrame, wanted: str | None) -> str:
    numeric = [str(name) for name in found.select_dtypes("number").columns if name != LABEL]
    names = [wanted] if wanted in found.columns else [] if wanted else numeric
    if len(names) != 1:
        raise ambiguous_output("pyfunc model", given=wanted or "", known=tuple(numeric or found.columns))
    return str(names[0])


def _write(model: Any, folder: Path) -> None:
    if isinstance(model, Path):
        shutil.copytree(model, folder, ignore=shutil.ignore_patterns("__pycache__"))
        return
    with quiet():
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(folder, python_model=model, pip_requirements=[])


def _loaded(folder: Path) -> Any:
    with quiet():
        import mlflow.pyfunc

        return mlflow.pyfunc.load_model(str(folder))


def _signature(folder: Path) -> tuple[str, ...] | None:
    """The names of the inputs, without loading the model."""
    with quiet():
        from mlflow.models import Model

        signature = Model.load(str(folder)).signature
    names = signature.inputs.input_names() if signature and signature.inputs else None
    return tuple(str(name) for name in names) if names else None


def _kept(folder: Path) -> Path:
    """A copy that outlives the call: a pyfunc may read its files whenever it likes.

    Of the files that the digest covers: byte code that lies among them would be run in place of the source.
    """
    from pyspark import SparkFiles, TaskContext

    # a worker never comes to its exit handlers; Spark removes this folder with the application
    root = SparkFiles.getRootDirectory() if TaskContext.get() else None
    place = Path(tempfile.mkdtemp(prefix="spark-scoring-pyfunc-", dir=root))
    if root is None:
        atexit.register(shutil.rmtree, place, ignore_errors=True)
    for file in files_in(folder):
        copy = place / FOLDER / file.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return place / FOLDER
