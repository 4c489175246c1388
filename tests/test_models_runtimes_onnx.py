"""ONNX and PMML say what their libraries say, whatever a tensor holds."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import jpype.config
import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from models_data import bits
from runtime_models import PMML, ROWS, SAMPLE, cast_onnx, native_frame, onnx_of, packaged, pmml_of, scored, unnamed_onnx

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.models import flavor
from spark_scoring.models.blocks import score_blocks
from spark_scoring.models.frames import spark_type
from spark_scoring.models.loaded import load_package
from spark_scoring.models.package import read_package
from spark_scoring.spec.wide import WideTable


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("zipmap", [True, False])
def test_onnx(classes: int, zipmap: bool, tmp_path: Path) -> None:
    model, names = onnx_of(classes, zipmap=zipmap)
    package = packaged(model, tmp_path, features=names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    block = ROWS.slice(0, 1024)
    asked = native_frame(block)[list(names)].fillna(0).to_numpy(dtype=np.float32)
    filled = block.set_column(2, "distance", pa.array(asked[:, 0].astype(float)))
    filled = filled.set_column(3, "seats", pa.array(asked[:, 1].astype(int)))
    answers = session.run(None, {session.get_inputs()[0].name: asked})
    found = scored(package, filled)
    if not classes:
        assert bits(found["score"]) == bits(answers[0][:, 0])
        return
    shares = np.array([list(one.values()) for one in answers[1]] if zipmap else answers[1])
    assert bits(found["score"]) == bits(shares[:, 1] if classes == 2 else shares.max(axis=1))
    assert found["label"].tolist() == [str(one) for one in answers[0]]
    assert package.classes == tuple(f"class {number}" for number in range(classes))


def test_onnx_takes_a_column_each_and_texts(tmp_path: Path) -> None:
    model, native = unnamed_onnx()
    package = packaged(model, tmp_path)
    assert [feature.name for feature in package.features] == ["distance", "carrier"]
    found = scored(package, ROWS.slice(0, 500))
    frame = native_frame(ROWS.slice(0, 500))
    good = frame["carrier"].notna() & frame["distance"].notna()
    expected = native.predict_proba(frame.loc[good, ["distance", "carrier"]].astype({"carrier": object}))[:, 1]
    assert np.allclose(found.loc[good, "score"], expected, rtol=1e-5)
    assert found.loc[frame["carrier"].isna(), "score"].isna().all()


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("column", "kind", "values", "held"),
    [
        (pa.float64(), "INT64", [1.0, -3.0, -(2.0**63), 0.0, 1.7, -0.5, NAN, INF, -INF, 1e300, 2.0**63, None], 4),
        (pa.float64(), "INT32", [1.0, -(2.0**31), 2.0**31 - 1, 2.0**31, 0.5, None], 3),
        (pa.float64(), "BOOL", [0.0, 1.0, -0.0, 0.5, 2.0, -1.0, NAN, None], 3),
        (pa.float32(), "INT64", [1.0, 2.0**40, 1.5, 2.0**63, NAN, None], 2),
        (pa.int64(), "INT64", [1, 2**53 + 1, -(2**63), 2**63 - 1, None], 4),
        (pa.int64(), "INT32", [1, -(2**31), 2**31, 2**32 + 5, None], 2),
        (pa.int64(), "BOOL", [0, 1, 2, -1, None], 2),
        (pa.bool_(), "BOOL", [True, False, None], 2),
        (pa.bool_(), "INT64", [True, False, None], 2),
        (pa.decimal128(38, 2), "INT64", [Decimal("7.00"), Decimal("7.01"), Decimal(10) ** 35, None], 1),
    ],
)
def test_a_value_that_an_onnx_tensor_does_not_hold(
    column: pa.DataType, kind: str, values: list[Any], held: int, tmp_path: Path
) -> None:
    from onnx import TensorProto

    wide = WideTable.unpack({
        "name": "w", "rows": {
            "key": ["id"], "time": "at",
            "columns": {"id": "string not null", "at": "timestamp not null", "x": spark_type(column)},
        },
    })  # fmt: skip
    sample = SAMPLE.select(["id", "at"]).append_column("x", pa.array([1, 0] * 200).cast(pa.int8()).cast(column))
    flavor.save_model(cast_onnx(getattr(TensorProto, kind)), tmp_path / "made", wide=wide, sample=sample)
    predict = load_package(read_package(tmp_path / "made", uri="made")).score
    found = score_blocks(
        pa.record_batch({"x": pa.array(values, column, from_pandas=False)}), predict=predict, framed=()
    )
    assert found.score[:held].tolist() == [float(np.float32(value)) for value in values[:held]]
    assert [str(reason) for reason in found.reason[held:]] == ["NOT_FINITE"] * (len(values) - held)


def test_pmml(tmp_path: Path) -> None:
    file, native = pmml_of(tmp_path)
    package = packaged(file, tmp_path)
    found = scored(package, ROWS.slice(0, 500))
    frame = native_frame(ROWS.slice(0, 500))
    share = native(frame)
    assert np.allclose(found["score"], share, rtol=1e-12, equal_nan=True)
    assert found["label"].dropna().tolist() == ["yes" if one > 0.5 else "no" for one in share if one == one]
    assert found["score"].isna().tolist() == frame["seats"].isna().tolist()
    assert (package.runtime, package.classes) == ("pmml", ("no", "yes"))
    assert not jpype.config.onexit  # or one process in six ends by SIGSEGV


def test_pmml_that_names_other_files(tmp_path: Path) -> None:
    (tmp_path / "model.pmml").write_text(PMML.replace("<PMML", "<!DOCTYPE x SYSTEM 'file:///etc/hostname'>\n<PMML", 1))
    with pytest.raises(RunError, match="it declares a document type"):
        packaged(tmp_path / "model.pmml", tmp_path)


def test_onnx_weights_outside_of_the_graph_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnx import TensorProto, helper, numpy_helper, save_model

    nodes = [
        helper.make_node("ArgMax", ["x"], ["i"], axis=1, keepdims=1),
        helper.make_node("Gather", ["w", "i"], ["z"]),
        helper.make_node("ReduceSum", ["z", "axis"], ["y"], keepdims=0),
    ]
    weights = [numpy_helper.from_array(np.ones((100_000, 1), np.float32), "w")]
    weights.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "g", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    save_model(model, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=1024)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"it keeps weights in files beside it\. Save it as one file"):
        packaged(tmp_path / "m.onnx", tmp_path, features=["distance", "seats"])
