"""Feature code is part of a package: found to be row-local, covered by the digest, run wherever the model runs."""

import shutil
import textwrap
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from models_data import WIDE, bits, wide_rows
from runtime_models import SAMPLE, packaged, scored, slip_in
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.models import flavor
from spark_scoring.models.blocks import score_blocks
from spark_scoring.models.cache import load_model_files
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.package import read_package
from spark_scoring.spec.wide import WideTable

pytestmark = pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
ROWS = wide_rows(1500, seed=11)
GOOD = """
import numpy as np

KEPT = {}

def prepare(frame):
    made = frame.copy()
    made["per_seat"] = frame["distance"] / frame["seats"]
    made["is_ue"] = (frame["carrier"] == "Ü").astype("uint8")
    return made
"""


def code(folder: Path, text: str, function: str = "prepare") -> str:
    (folder / "features.py").write_text(textwrap.dedent(text), "utf-8")
    return f"{folder}/features.py:{function}"


def prepared(rows: Any) -> pd.DataFrame:
    space: dict[str, Any] = {}
    exec(GOOD, space)
    made: pd.DataFrame = space["prepare"](to_pandas(rows))
    return made[["per_seat", "is_ue"]]


def model() -> Any:
    return HistGradientBoostingRegressor(max_iter=5).fit(prepared(SAMPLE), np.arange(len(SAMPLE)))


def test_the_model_gets_what_the_code_makes(tmp_path: Path) -> None:
    fitted = model()
    package = packaged(fitted, tmp_path, prepare=code(tmp_path, GOOD))
    assert [feature.name for feature in package.features] == ["distance", "seats", "carrier"]
    assert [(f.name, f.type) for f in package.spec.inputs] == [("per_seat", "double"), ("is_ue", "bigint")]
    assert bits(scored(package, ROWS)["score"]) == bits(fitted.predict(prepared(ROWS)))
    assert pq.read_table(package.golden).column_names == ["distance", "seats", "carrier", "score", "label"]
    by_mlflow = mlflow.pyfunc.load_model(str(package.path)).predict(to_pandas(ROWS)[["distance", "seats", "carrier"]])
    assert bits(by_mlflow["score"]) == bits(scored(package, ROWS)["score"])


def test_the_digest_covers_the_code(tmp_path: Path) -> None:
    package = packaged(model(), tmp_path, prepare=code(tmp_path, GOOD))
    with (package.path / "prepare.py").open("a") as file:
        file.write("\n")
    with pytest.raises(RunError, match="they changed after packaging"):
        read_package(package.path, uri="x")


def test_byte_code_beside_the_code_is_not_run(tmp_path: Path) -> None:
    package = packaged(model(), tmp_path, prepare=code(tmp_path, GOOD))
    expected = bits(scored(package, ROWS)["score"])
    slip_in(package.path / "prepare.py", GOOD.replace("frame.copy()", "(frame := frame.assign(distance=666.0))"))
    assert bits(scored(package, ROWS)["score"]) == expected
    assert read_package(package.path, uri="x").digest == package.digest


def test_a_row_that_the_code_cannot_take(tmp_path: Path) -> None:
    text = GOOD + "\ndef strict(frame):\n    assert not (frame['seats'] > 195).any()\n    return prepare(frame)\n"
    fitted, quiet_rows = model(), SAMPLE.filter(np.array([(n or 0) <= 195 for n in SAMPLE["seats"].to_pylist()]))
    package = packaged(fitted, tmp_path, sample=quiet_rows, prepare=code(tmp_path, text, "strict"))
    batch = ROWS.select([f.name for f in package.features]).combine_chunks().to_batches()[0]
    found = score_blocks(batch, predict=load_model_files(package.path, spec=package.spec), framed=package.features)
    wrong = [(n or 0) > 195 for n in ROWS["seats"].to_pylist()]
    assert [reason == "FEATURE" for reason in found.reason] == wrong
    assert {detail for detail in found.detail if detail} == {"AssertionError"}
    expected = fitted.predict(prepared(ROWS))[~np.array(wrong)]
    assert bits(found.score[~np.array(wrong)]) == bits(expected)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("made['per_seat'] = frame['distance'] - frame['distance'].mean()", "'per_seat' .* when they are cut"),
        ("made['per_seat'] = range(len(frame))", "'per_seat' .* when they are cut"),
        ("made['per_seat'] = frame['distance'].shift(1)", "'per_seat' .* when they are cut"),
        (
            "made['per_seat'] = np.random.default_rng().random(len(frame))",
            "'per_seat' .* when they are run a second time",
        ),
        ("made = made[made['seats'].notna()]", "fails on 400 rows of the sample: ValueError: .* rows of 400"),
        ("made = made.drop(columns='is_ue')", "lacks columns that the model reads: is_ue"),
        ("made['per_seat'] = frame['nowhere']", "fails on 400 rows of the sample: KeyError"),
        ("if len(frame) == 1: raise LookupError('one')", "fails on 1 rows of the sample: LookupError"),
        (
            "made['per_seat'] = frame['seats'] if len(frame) < 400 or frame['id'].iloc[0] == 'r0' else 0.0",
            "'per_seat' .* when they are in another order",
        ),
        (
            "made['per_seat'] = frame['seats'].fillna(KEPT.setdefault('mean', frame['seats'].mean()))",
            "'per_seat' .* cut",
        ),
        ("made['per_seat'] = frame['seats'] / KEPT.setdefault('most', frame['seats'].max())", "'per_seat' .* cut"),
        ("made['is_ue'] = [KEPT.setdefault(one, len(KEPT)) for one in frame['carrier']]", "'is_ue' .* another order"),
        (
            "made['per_seat'] = KEPT['calls'] = KEPT.get('calls', 0) + 1",
            "'per_seat' .* when they are run a second time",
        ),
    ],
)
def test_the_laws(body: str, message: str, tmp_path: Path) -> None:
    text = GOOD.replace("    return made", f"    {body}\n    return made")
    with pytest.raises(ConfigError, match=message):
        packaged(model(), tmp_path, prepare=code(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("features.py", "names no function"),
        ("none.py:prepare", "no such file"),
        ("{}:other", "the function 'other' cannot be loaded: AttributeError"),
    ],
)
def test_what_names_no_feature_code(text: str, message: str, tmp_path: Path) -> None:
    file = code(tmp_path, GOOD).removesuffix(":prepare")
    with pytest.raises(ConfigError, match=message):
        packaged(model(), tmp_path, prepare=text.format(file))


def test_nested_columns_are_kept_from_the_code(tmp_path: Path) -> None:
    rows = {**WIDE.pack()["rows"]["columns"], "plan": "struct<a: int>"}
    wide = WideTable.unpack({**WIDE.pack(), "rows": {**WIDE.pack()["rows"], "columns": rows}})
    sample = SAMPLE.append_column("plan", pa.array([{"a": 1}] * len(SAMPLE)))
    given: dict[str, Any] = {"wide": wide, "sample": sample}
    with pytest.raises(ConfigError, match="'other' cannot be loaded"):
        flavor.save_model(model(), tmp_path / "other", prepare=code(tmp_path, GOOD, "other"), **given)
    flavor.save_model(model(), tmp_path / "made", prepare=code(tmp_path, GOOD), **given)
    features = read_package(tmp_path / "made", uri="x").features
    assert [feature.name for feature in features] == ["distance", "seats", "carrier"]
    reads = GOOD.replace("frame.copy()", "frame.assign(a=frame['plan'])")
    with pytest.raises(ConfigError, match="KeyError: 'plan'"):
        flavor.save_model(model(), tmp_path / "reads", prepare=code(tmp_path, reads), **given)


def test_code_needs_trust(tmp_path: Path) -> None:
    package = packaged(model(), tmp_path, prepare=code(tmp_path, GOOD))
    with pytest.raises(ConfigError, match="holds feature code"):
        flavor.load_model(str(package.path), registry="none")
    assert (
        flavor.load_model(str(package.path), registry="none", trust=[package.digest]).package.digest == package.digest
    )
    other = shutil.copytree(package.path, tmp_path / "other")
    with pytest.raises(ConfigError, match="holds feature code"):
        flavor.load_model(str(other), registry="none", trust=[str(package.path)])


def test_a_model_of_numbers_alone_can_stand_behind_text(tmp_path: Path) -> None:
    text = "def prepare(frame):\n    return frame.assign(length=frame['carrier'].str.len().fillna(0))\n"
    frame = to_pandas(SAMPLE)
    fitted = LinearRegression().fit(frame["carrier"].str.len().fillna(0).to_frame("length"), range(400))
    package = packaged(fitted, tmp_path, prepare=code(tmp_path, text))
    assert [feature.name for feature in package.features] == ["carrier"]
    assert not scored(package, ROWS)["score"].isna().any()
    assert package.wide == WIDE
