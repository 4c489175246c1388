"""The ONNX runtime: any graph of tensors in and out, by ONNX Runtime, on one thread, in float32 where it asks."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_scoring.errors import ambiguous_output, feature_unfit, unnamed_inputs, unsupported_model
from spark_scoring.models.contract import (
    Feature,
    Inputs,
    ModelSpec,
    Outputs,
    Predict,
    Saved,
    Tolerance,
    labelled,
    outputs_of,
    unlabelled,
)
from spark_scoring.models.libraries import version_of
from spark_scoring.models.match import reading
from spark_scoring.models.matrix import check_names, numbers

FILE = "model.onnx"
LIBRARIES = ("onnxruntime", "numpy", "pyarrow")
# 2 units in the last place of a float32: other processors have other kernels
TOLERANCE = Tolerance(relative=2.0**-22)
TENSORS = {"float": np.float32, "double": np.float64, "int64": np.int64, "int32": np.int32, "bool": np.bool_}
# the least number that a tensor holds, and the first one beyond it
HOLDS = {"int64": (-(2**63), 2**63), "int32": (-(2**31), 2**31), "bool": (0, 2)}
Texts: TypeAlias = npt.NDArray[np.object_]


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What a session says of some rows: one column per output value, and a label if there is an output for it."""

    values: npt.NDArray[np.float64]
    label: Texts | None
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tensor:
    """A column as the graph takes it, and the rows of which it holds the very value."""

    values: npt.NDArray[Any]
    held: npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Food:
    """The tensors by name, and the rows that they hold."""

    tensors: dict[str, npt.NDArray[Any]]
    held: npt.NDArray[np.bool_]


def input_names(model: Any) -> tuple[str, ...]:
    """The names of the graph's inputs, if there is one per column.

    Raises: ConfigError for one matrix of all columns, which has no names.
    """
    inputs = _opened(model).get_inputs()
    if len(inputs) == 1 and not (len(inputs[0].shape) == 2 and inputs[0].shape[1] == 1):
        raise unnamed_inputs("ONNX model")
    return tuple(one.name for one in inputs)


def save(model: Any, folder: Path, *, inputs: Inputs, output: str | None) -> Saved:
    """Write the graph as it is; its outputs are found by type, and classes by what it says of the sample.

    Raises: ConfigError: a column of a type that no tensor has, or several outputs that could be the score.
    """
    session = _opened(model)
    feed = _feeder(session, inputs.model_features)
    score, label = _chosen(session, output)
    answer = _asked(session, feed(inputs.model_sample).tensors, score, label)
    if isinstance(model, Path):
        shutil.copyfile(model, folder / FILE)
    else:
        (folder / FILE).write_bytes(model.SerializeToString())
    _check_whole(folder / FILE)
    conf = {"onnx_version": version_of("onnx"), "data": FILE, "providers": ["CPUExecutionProvider"], "code": None}
    return Saved(
        file=FILE,
        serialization="onnx",
        classes=_classes(answer),
        tolerance=TOLERANCE,
        libraries=LIBRARIES,
        output=score,
        flavor=("onnx", conf),
    )


def load(folder: Path, spec: ModelSpec) -> Predict:
    """The function from a batch of input columns to outputs."""
    session = _session(folder / spec.file)
    inputs = session.get_inputs()
    check_names(spec, [one.name for one in inputs] if len(inputs) > 1 else None)
    score, label = _chosen(session, spec.output)
    feed = _feeder(session, spec.inputs)
    return partial(_predict, session=session, feed=feed, score=score, label=label, classes=spec.classes)


def _predict(
    batch: pa.RecordBatch,
    *,
    session: Any,
    feed: Callable[[pa.RecordBatch], _Food],
    score: str,
    label: str | None,
    classes: tuple[str, ...],
) -> Outputs:
    food = feed(batch)
    answer = _asked(session, food.tensors, score, label)
    answer.values[~food.held] = np.nan
    if not classes:
        return unlabelled(answer.values[:, 0])
    outputs = outputs_of(answer.values, classes)
    return outputs if answer.label is None else labelled(outputs.score, answer.label)


def _opened(model: Any) -> Any:
    if not isinstance(model, Path):
        return _session(model.SerializeToString())
    with reading(model):
        return _session(model)


def _check_whole(file: Path) -> None:
    """Nothing, if the graph holds its weights itself.

    Raises: ConfigError: they are in files beside it, which the package would not have.
    """
    try:
        _session(file)
    except Exception:  # noqa: BLE001 - the same graph was read where it came from
        raise unsupported_model(
            "ONNX graph",
            why="it keeps weights in files beside it",
            do="Save it as one file, with onnx.save(onnx.load(path), path)",
        ) from None


def _session(content: bytes | Path) -> Any:
    """A graph that is a file finds weights beside it, never in the working directory."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    given = str(content) if isinstance(content, Path) else content
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])


def _feeder(session: Any, features: tuple[Feature, ...]) -> Callable[[pa.RecordBatch], _Food]:
    inputs = session.get_inputs()
    for one, feature in zip(inputs, features, strict=False) if len(inputs) > 1 else ((inputs[0], f) for f in features):
        kind, is_text = _kind(one.type), feature.type == "string"
        if (kind not in TENSORS and kind != "string") or is_text != (kind == "string"):
            raise feature_unfit("onnx", name=feature.name, given=feature.type, wanted=f"tensor({kind})")
    width = inputs[0].shape[1] if len(inputs) == 1 and len(inputs[0].shape) == 2 else len(features)
    if len(features) != (width if isinstance(width, int) and len(inputs) == 1 else len(features)):
        why = f"it reads {width} columns, and {len(features)} are named"
        raise unsupported_model("ONNX model", why=why, do="Name each of them once, in its order")
    return partial(_feed, inputs=[(one.name, _kind(one.type), len(one.shape)) for one in inputs])


def _feed(batch: pa.RecordBatch, *, inputs: list[tuple[str, str, int]]) -> _Food:
    kinds = [kind for _, kind, _ in inputs] * (batch.num_columns if len(inputs) == 1 else 1)
    columns = [_tensor(column, kind) for column, kind in zip(batch.columns, kinds, strict=True)]
    held = np.logical_and.reduce([column.held for column in columns])
    if len(inputs) == 1:
        return _Food(tensors={inputs[0][0]: np.stack([column.values for column in columns], axis=1)}, held=held)
    tensors = {
        name: column.values.reshape((-1, 1) if rank == 2 else (-1,))
        for (name, _, rank), column in zip(inputs, columns, strict=True)
    }
    return _Food(tensors=tensors, held=held)


def _tensor(column: pa.Array, kind: str) -> _Tensor:
    """Null is NaN in a tensor of floats, which rounds; another has no word for it, and none for 1.7 or for 2**70."""
    if kind in ("float", "double"):
        return _Tensor(values=numbers(column).astype(TENSORS[kind]), held=np.ones(len(column), dtype=bool))
    known = np.asarray(column.is_valid())
    if kind == "string":
        return _Tensor(values=np.array(column.fill_null("").to_pylist(), dtype=object), held=known)
    given, (least, beyond) = _exact(column), HOLDS[kind]
    with np.errstate(invalid="ignore"):
        held = known & (given >= least) & (given < beyond) & (given == np.floor(given))
    return _Tensor(values=np.where(held, given, 0).astype(TENSORS[kind]), held=held)


def _exact(column: pa.Array) -> npt.NDArray[Any]:
    """The column's numbers as they are, and anything where it is null."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    values: npt.NDArray[Any] = column.fill_null(0).to_numpy(zero_copy_only=False)
    return values.astype(np.int64) if values.dtype.kind == "M" else values


def _kind(text: str) -> str:
    return text.removeprefix("tensor(").removesuffix(")")


def _chosen(session: Any, wanted: str | None) -> tuple[str, str | None]:
    """The names of the outputs that hold scores and labels.

    Raises: ConfigError if several can be the score and none is named.
    """
    kinds = {one.name: one.type for one in session.get_outputs()}
    scores = [name for name, kind in kinds.items() if kind.startswith("seq(map(") or _kind(kind) in ("float", "double")]
    labels = [name for name, kind in kinds.items() if _kind(kind) in ("int64", "string")]
    if wanted and wanted in kinds:
        return wanted, labels[0] if len(labels) == 1 and labels[0] != wanted else None
    if wanted or len(scores) != 1:
        raise ambiguous_output("ONNX model", given=wanted or "", known=tuple(scores or kinds))
    return scores[0], labels[0] if len(labels) == 1 else None


def _asked(session: Any, feed: dict[str, Any], score: str, label: str | None) -> _Answer:
    found = session.run([score, *([label] if label else [])], feed)
    names: tuple[str, ...] = ()
    if isinstance(found[0], list):  # a zipmap: one dictionary per row
        names = tuple(str(key) for key in found[0][0])
        values = np.array([list(one.values()) for one in found[0]], dtype=np.float64)
    else:
        values = np.asarray(found[0], dtype=np.float64)
        values = values.reshape(len(values), -1)
    texts = np.array([str(one) for one in np.ravel(found[1]).tolist()], dtype=object) if label else None
    return _Answer(values=values, label=texts, names=names)


def _classes(answer: _Answer) -> tuple[str, ...]:
    """From the zipmap, else from which label stands where which value is greatest."""
    width = answer.values.shape[1]
    if width == 1 or answer.names:
        return answer.names
    if answer.label is None:
        return tuple(str(number) for number in range(width))
    best = answer.values.argmax(axis=1)
    seen = {int(place): text for place, text in zip(best, answer.label, strict=True)}
    if all(text == str(place) for place, text in seen.items()):
        return tuple(str(number) for number in range(width))
    if len(seen) < width:
        why = "it does not name its classes, and the sample does not show each of them"
        raise unsupported_model("ONNX model", why=why, do="Convert it with a zipmap")
    return tuple(seen[place] for place in range(width))
