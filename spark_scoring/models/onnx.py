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
from spark_scoring.models.matrix import check_names, numbers

FILE = "model.onnx"
LIBRARIES = ("onnxruntime", "numpy", "pyarrow")
# 2 units in the last place of a float32: other processors have other kernels
TOLERANCE = Tolerance(relative=2.0**-22)
TENSORS = {"float": np.float32, "double": np.float64, "int64": np.int64, "int32": np.int32, "bool": np.bool_}
Texts: TypeAlias = npt.NDArray[np.object_]


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What a session says of some rows: one column per output value, and a label if there is an output for it."""

    values: npt.NDArray[np.float64]
    label: Texts | None
    names: tuple[str, ...]


def input_names(model: Any) -> tuple[str, ...]:
    """The names of the graph's inputs, if there is one per column.

    Raises: ConfigError for one matrix of all columns, which has no names.
    """
    inputs = _session(_bytes(model)).get_inputs()
    if len(inputs) == 1 and not (len(inputs[0].shape) == 2 and inputs[0].shape[1] == 1):
        raise unnamed_inputs("ONNX model")
    return tuple(one.name for one in inputs)


def save(model: Any, folder: Path, *, inputs: Inputs, output: str | None) -> Saved:
    """Write the graph as it is; its outputs are found by type, and classes by what it says of the sample.

    Raises: ConfigError: a column of a type that no tensor has, or several outputs that could be the score.
    """
    content = _bytes(model)
    session = _session(content)
    feed = _feeder(session, inputs.model_features)
    score, label = _chosen(session, output)
    answer = _asked(session, feed(inputs.model_sample), score, label)
    if isinstance(model, Path):
        shutil.copyfile(model, folder / FILE)
    else:
        (folder / FILE).write_bytes(content)
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
    session = _session((folder / spec.file).read_bytes())
    inputs = session.get_inputs()
    check_names(spec, [one.name for one in inputs] if len(inputs) > 1 else None)
    score, label = _chosen(session, spec.output)
    feed = _feeder(session, spec.inputs)
    kinds = [_kind(one.type) for one in inputs] * (len(spec.inputs) if len(inputs) == 1 else 1)
    wordless = tuple(f.name for f, kind in zip(spec.inputs, kinds, strict=True) if kind not in ("float", "double"))
    return partial(
        _predict, session=session, feed=feed, score=score, label=label, classes=spec.classes, wordless=wordless
    )


def _predict(
    batch: pa.RecordBatch,
    *,
    session: Any,
    feed: Callable[[pa.RecordBatch], dict[str, Any]],
    score: str,
    label: str | None,
    classes: tuple[str, ...],
    wordless: tuple[str, ...],
) -> Outputs:
    unspoken = np.zeros(batch.num_rows, dtype=bool)
    for name in wordless:
        unspoken |= np.asarray(batch.column(name).is_null())
    answer = _asked(session, feed(batch), score, label)
    answer.values[unspoken] = np.nan
    if not classes:
        return unlabelled(answer.values[:, 0])
    outputs = outputs_of(answer.values, classes)
    return outputs if answer.label is None else labelled(outputs.score, answer.label)


def _bytes(model: Any) -> bytes:
    return model.read_bytes() if isinstance(model, Path) else bytes(model.SerializeToString())


def _session(content: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _feeder(session: Any, features: tuple[Feature, ...]) -> Callable[[pa.RecordBatch], dict[str, Any]]:
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


def _feed(batch: pa.RecordBatch, *, inputs: list[tuple[str, str, int]]) -> dict[str, Any]:
    if len(inputs) == 1:
        name, kind, _ = inputs[0]
        return {name: np.stack([_tensor(column, kind) for column in batch.columns], axis=1)}
    return {
        name: _tensor(column, kind).reshape((-1, 1) if rank == 2 else (-1,))
        for (name, kind, rank), column in zip(inputs, batch.columns, strict=True)
    }


def _tensor(column: pa.Array, kind: str) -> npt.NDArray[Any]:
    """Null is NaN in a tensor of floats; no other tensor has a word for it, and its row gets no score."""
    if kind in ("float", "double"):
        return numbers(column).astype(TENSORS[kind])
    if kind == "string":
        return np.array(column.fill_null("").to_pylist(), dtype=object)
    filled = column.fill_null(False if pa.types.is_boolean(column.type) else 0)
    values: npt.NDArray[Any] = filled.to_numpy(zero_copy_only=False).astype(TENSORS[kind])
    return values


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
