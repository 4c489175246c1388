"""A session of Spark Connect: the Arrow form, the same scores, and a word where there is no other form."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from models_data import WIDE, bits, fitted, wide_rows
from sklearn.linear_model import LinearRegression, LogisticRegression

from spark_scoring.models import flavor
from spark_scoring.models.blocks import score_blocks
from spark_scoring.models.loaded import load_package
from spark_scoring.models.package import read_package

CHILD = Path(__file__).with_name("connect_child.py")
ROWS = wide_rows(500, seed=9)


def test_models_are_scored_over_spark_connect(tmp_path: Path) -> None:
    numbers = ROWS.to_pandas()[["distance"]].fillna(0)
    models = {
        "two": fitted(LogisticRegression(), ROWS),
        "three": fitted(LogisticRegression(), ROWS, classes=3),
        "line": fitted(LinearRegression(), ROWS, classes=0),
        # takes no null, so some of its rows have a reason and no score
        "picky": LogisticRegression().fit(numbers, numbers["distance"] > 0),
    }
    for name, model in models.items():
        flavor.save_model(model, tmp_path / name, wide=WIDE, sample=ROWS)
    pq.write_table(ROWS, tmp_path / "rows.parquet")
    ran = subprocess.run([sys.executable, CHILD, tmp_path, *models], env=_environ(), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]

    found = pq.read_table(tmp_path / "scored.parquet").combine_chunks()
    order = pc.index_in(ROWS["id"].combine_chunks(), found["id"].combine_chunks())
    entries = found["scores"].combine_chunks().take(order).flatten()
    wanted = pc.fill_null(pc.greater_equal(ROWS["seats"], 100), True).combine_chunks()
    for place, name in enumerate(models):
        own = entries.take(pa.array(range(place, len(entries), len(models))))
        assert own.is_valid().equals(wanted)
        package = read_package(tmp_path / name, uri=name)
        batch = ROWS.filter(wanted).select([one.name for one in package.features]).combine_chunks().to_batches()[0]
        expected, kept = (
            score_blocks(batch, predict=load_package(package).score, framed=package.spec.framed),
            own.filter(wanted),
        )
        good = ~expected.failed
        assert good.all() == (name != "picky")
        assert bits(np.array(kept.field("score"))[good]) == bits(expected.score[good])
        for column in ("label", "reason", "detail"):
            assert kept.field(column).to_pylist() == getattr(expected, column).tolist()
        said = set(zip(*(kept.field(one).to_pylist() for one in ("role", "model", "model_version")), strict=True))
        assert said == {("champion" if name == "two" else "shadow", name, "1")}
    assert "a session of Spark Connect takes no functions" in (tmp_path / "refused.txt").read_text()


def _environ() -> dict[str, str]:
    """Without what sets up the classic session of the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK_SUBMIT", "SPARK_CONF"))}
