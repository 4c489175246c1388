"""Models of every library over the rows of `models_data`, and the ways to package and score them without Spark."""

import py_compile
import tempfile
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from models_data import WIDE, wide_rows
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from spark_scoring.models import flavor
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.loaded import load_package
from spark_scoring.models.package import Package, read_package
from spark_scoring.models.registry import quiet

with quiet():  # MLflow warns of type hints: of its own when it is imported, of ours when a model has none
    import mlflow.pyfunc

    class Twice(mlflow.pyfunc.PythonModel):
        """Two numbers and a label for each row."""

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow reads type hints
            seats = model_input["seats"].fillna(0).to_numpy(dtype=float)
            return pd.DataFrame({"twice": 2 * seats, "half": seats / 2, "label": np.where(seats > 100, "big", "small")})

    class Unlabelled(Twice):
        """Two numbers, and no label for any row."""

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow reads type hints
            return super().predict(context, model_input).assign(label=None)

    class Told(mlflow.pyfunc.PythonModel):
        """A score, and as label what stands in the row."""

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow reads type hints
            return pd.DataFrame({"score": model_input["distance"], "label": model_input["carrier"]})

    class Lazy(mlflow.pyfunc.PythonModel):
        """A number for each row, by a module that is imported when the first one is asked for."""

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow reads type hints
            from helper_of_lazy import FACTOR

            return pd.DataFrame({"score": FACTOR + 0 * model_input["seats"].fillna(0)})


SAMPLE = wide_rows(400, seed=7)
ROWS = wide_rows(3000, seed=8)
CARRIERS = ["AA", "BB", "Ü"]
NUMBERS = ("distance", "seats")


def native_frame(rows: pa.Table) -> pd.DataFrame:
    """What a user trains on: two numbers and a category, in the dtype of the training."""
    frame = to_pandas(rows)[["distance", "seats", "carrier"]]
    return frame.assign(
        seats=frame["seats"].astype(float), carrier=pd.Categorical(frame["carrier"], categories=CARRIERS)
    )


def target(rows: pa.Table, classes: int) -> Any:
    """A number, or classes named `class 0`, `class 1`, …; it depends on every column."""
    frame = to_pandas(rows)
    number = frame["distance"].fillna(0) + frame["seats"].fillna(0) / 100 + (frame["carrier"] == "Ü")
    return number if not classes else pd.qcut(number, classes, labels=False).map(lambda n: f"class {n}")


def packaged(model: Any, folder: Path, *, sample: Any = SAMPLE, **options: Any) -> Package:
    """The model as a package in a new folder."""
    place = Path(tempfile.mkdtemp(dir=folder)) / "package"
    flavor.save_model(model, place, wide=WIDE, sample=sample, **options)
    return read_package(place, uri=str(place), name="trips", version="1")


def scored(package: Package, rows: pa.Table) -> pd.DataFrame:
    """Score and label of wide rows, by the code of the workers."""
    return load_package(package).predict(to_pandas(rows))


def slip_in(source: Path, text: str) -> None:
    """Byte code of another text beside a source, which Python takes for that of the source without a look at it."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / source.name
        other.write_text(text, "utf-8")
        py_compile.compile(
            str(other), cache_from_source(str(source)), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )


def lgbm(kind: Any, classes: int, **options: Any) -> Any:
    """A fitted estimator of this class of LightGBM; 0 classes is a regression."""
    frame = native_frame(SAMPLE)
    return kind(n_estimators=15, verbose=-1, min_child_samples=5, n_jobs=2, **options).fit(
        frame, target(SAMPLE, classes)
    )


def xgb(kind: Any, classes: int, **options: Any) -> Any:
    """A fitted estimator of this class of XGBoost; 0 classes is a regression."""
    frame = native_frame(SAMPLE)
    wanted = pd.factorize(target(SAMPLE, classes), sort=True)[0] if classes else target(SAMPLE, 0)
    return kind(n_estimators=15, enable_categorical=True, max_cat_to_onehot=1, n_jobs=2, **options).fit(frame, wanted)


def onnx_of(classes: int, *, zipmap: bool) -> tuple[Any, tuple[str, ...]]:
    """A scaled linear model of one matrix as ONNX, and the names of its columns."""
    from skl2onnx import to_onnx

    numbers = native_frame(SAMPLE)[list(NUMBERS)].fillna(0).to_numpy(dtype=np.float32)
    last = LogisticRegression() if classes else LinearRegression()
    model = make_pipeline(StandardScaler(), last).fit(numbers, target(SAMPLE, classes))
    options = {id(model): {"zipmap": zipmap}} if classes else None
    return to_onnx(model, numbers[:1], options=options), NUMBERS


def unnamed_onnx() -> tuple[Any, Any]:
    """A pipeline with an input for each column, one of them text, as ONNX and as it is."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    frame = native_frame(SAMPLE).astype({"carrier": object})
    good = frame["carrier"].notna() & frame["distance"].notna()
    columns = make_column_transformer(
        (StandardScaler(), ["distance"]), (OneHotEncoder(handle_unknown="ignore"), ["carrier"])
    )
    model = make_pipeline(columns, LogisticRegression())
    model.fit(frame.loc[good, ["distance", "carrier"]], target(SAMPLE, 2)[good])
    kinds = [("distance", FloatTensorType([None, 1])), ("carrier", StringTensorType([None, 1]))]
    return convert_sklearn(model, initial_types=kinds), model


def cast_onnx(kind: int) -> Any:
    """A graph that answers its one column `x`, a tensor of this kind, as a float."""
    from onnx import TensorProto, helper

    given = helper.make_tensor_value_info("x", kind, [None, 1])
    found = helper.make_tensor_value_info("z", TensorProto.FLOAT, [None, 1])
    cast = helper.make_node("Cast", ["x"], ["z"], to=TensorProto.FLOAT)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(helper.make_graph([cast], "cast", [given], [found]), opset_imports=[opset], ir_version=9)


PMML = """<?xml version="1.0" encoding="UTF-8"?>
<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4"><Header/>
<DataDictionary>
<DataField name="distance" optype="continuous" dataType="double"/>
<DataField name="seats" optype="continuous" dataType="integer"/>
<DataField name="carrier" optype="categorical" dataType="string"/>
<DataField name="late" optype="categorical" dataType="string"><Value value="no"/><Value value="yes"/></DataField>
</DataDictionary>
<RegressionModel functionName="classification" normalizationMethod="logit">
<MiningSchema>
<MiningField name="distance" missingValueReplacement="0"/><MiningField name="seats"/>
<MiningField name="carrier" missingValueReplacement="AA"/><MiningField name="late" usageType="target"/>
</MiningSchema>
<RegressionTable targetCategory="yes" intercept="-0.12345678901234567">
<NumericPredictor name="distance" coefficient="1.7"/><NumericPredictor name="seats" coefficient="0.0123456789012345"/>
<CategoricalPredictor name="carrier" value="Ü" coefficient="0.5"/>
</RegressionTable>
<RegressionTable targetCategory="no" intercept="0"/>
</RegressionModel></PMML>
"""


def pmml_of(folder: Path) -> tuple[Path, Any]:
    """A logistic regression as PMML, and what it says, in numpy."""

    def share(frame: pd.DataFrame) -> Any:
        margin = -0.12345678901234567 + 1.7 * frame["distance"].fillna(0) + 0.0123456789012345 * frame["seats"]
        return 1 / (1 + np.exp(-(margin + 0.5 * (frame["carrier"] == "Ü"))))

    (folder / "model.pmml").write_text(PMML, "utf-8")
    return folder / "model.pmml", share
