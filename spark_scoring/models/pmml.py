"""The PMML runtime: pmml4s through pypmml, in one small JVM inside the worker process.

Row by row: pypmml's way for DataFrames writes ten digits of a number, and answers where a row has no answer.
"""

import math
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from spark_scoring.errors import ambiguous_output, feature_unfit, unsafe_pmml
from spark_scoring.models.contract import Inputs, ModelSpec, Outputs, Predict, Saved, Tolerance, outputs_of, unlabelled
from spark_scoring.models.match import reading
from spark_scoring.models.matrix import NUMBERS, check_names, rounded

FILE = "model.pmml"
LIBRARIES = ("pypmml", "jpype", "pyarrow")
# -Xrs: signals stay with Python, whose SIGTERM ends a stream in order
JVM = ("-Xmx512m", "-Xrs", "-XX:+UseSerialGC")


@dataclass(frozen=True, kw_only=True)
class _Output:
    """An output field: by name in an answer by name, by place in one by position."""

    name: str
    place: int


def input_names(model: Path) -> tuple[str, ...]:
    """The fields of the mining schema, in its order."""
    return tuple(str(name) for name in _read(model).inputNames)


def save(model: Path, folder: Path, *, inputs: Inputs, output: str | None) -> Saved:
    """Copy the file; its own metadata say what comes out.

    Raises: ConfigError: a column of a type that PMML cannot take, or several outputs that could be the score.
    """
    for feature in inputs.model_features:
        if feature.type != "string" and feature.type.partition("(")[0] not in NUMBERS:
            raise feature_unfit("pmml", name=feature.name, given=feature.type, wanted="a number, text or boolean")
    read = _read(model)
    shutil.copyfile(model, folder / FILE)
    classes = tuple(str(value) for value in read.classes)
    outputs = _scores(read, classes, output)
    return Saved(
        file=FILE,
        serialization="pmml",
        classes=classes if len(outputs) > 1 else (),
        tolerance=Tolerance(relative=1e-9),
        libraries=LIBRARIES,
        output=output or "",
    )


def load(folder: Path, spec: ModelSpec) -> Predict:
    """The function from a batch of input columns to outputs."""
    model = _read(folder / spec.file)
    check_names(spec, [str(name) for name in model.inputNames])
    outputs = _scores(model, spec.classes, spec.output)
    return partial(_predict, model=model._java_model, outputs=outputs, classes=spec.classes)


def _predict(batch: pa.RecordBatch, *, model: Any, outputs: tuple[_Output, ...], classes: tuple[str, ...]) -> Outputs:
    import jpype

    arrays, maps = jpype.JClass("java.util.Arrays"), jpype.JClass("java.util.HashMap")
    columns = [_plain(column) for column in batch.columns]
    found = np.empty((batch.num_rows, len(outputs)))
    for row, values in enumerate(zip(*columns, strict=True)):
        if None in values:  # by position pmml4s answers a row that has no answer; by name it is six times slower
            given = {name: value for name, value in zip(batch.schema.names, values, strict=True) if value is not None}
            answer = model.predict(maps(given))
            found[row] = [_number(answer.get(output.name)) for output in outputs]
        else:
            answer = model.predict(arrays.asList(*values))
            found[row] = [_number(answer.get(output.place)) for output in outputs]
    return outputs_of(found, classes) if classes else unlabelled(found[:, 0])


def _plain(column: pa.Array) -> list[Any]:
    if pa.types.is_decimal(column.type):
        column = rounded(column)
    values = column.to_pylist()
    return [None if value != value else value for value in values] if pa.types.is_floating(column.type) else values


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _scores(model: Any, classes: tuple[str, ...], wanted: str | None) -> tuple[_Output, ...]:
    """The outputs that hold scores: one per class, or one for a number.

    Raises: ConfigError if several can be the score and none is named.
    """
    names = [str(name) for name in model.outputNames]
    features = {str(field.name): str(field.feature) for field in model.outputFields}
    by_class = {str(f.value): str(f.name) for f in model.outputFields if str(f.feature) == "probability" and f.value}
    if wanted:
        chosen = [wanted] if wanted in names else []
    elif classes:
        chosen = [by_class[name] for name in classes] if set(by_class) >= set(classes) else []
    else:
        numbers = [name for name, feature in features.items() if feature == "predictedValue"]
        chosen = numbers if len(numbers) == 1 else []
    if not chosen:
        raise ambiguous_output("PMML model", given=wanted or "", known=tuple(names))
    return tuple(_Output(name=name, place=names.index(name)) for name in chosen)


def _read(path: Path) -> Any:
    """The model; a document type could name other files for the parser to read, so it is refused.

    Raises: ConfigError: the file is no PMML. RunError.
    """
    import jpype.config
    from pypmml import Model, PMMLContext

    if not jpype.isJVMStarted():
        # jpype's way to end a JVM crashes one process in six; the process ends without it
        jpype.config.onexit = False
        PMMLContext.getOrCreate(gateway="jpype", java_opts=list(JVM))
    with reading(path):
        content = path.read_bytes()
        if b"<!DOCTYPE" in content:
            raise unsafe_pmml(path.name)
        # by class: 'import org', which pypmml does, finds Spark's own jar, which is on a worker's PYTHONPATH
        return Model(jpype.JClass("org.pmml4s.model.Model").fromString(content.decode("utf-8")))
