"""The golden sample: wide rows and the scores they had when the model was packaged."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from spark_scoring.errors import golden_differs, not_loaded
from spark_scoring.models.contract import Tolerance
from spark_scoring.models.package import Package
from spark_scoring.models.udf import SCORES, ScoredModel, score_rows
from spark_scoring.models.workers import NOT_LOADED

ROW = "__row"


def check_golden(spark: SparkSession, package: Package) -> None:
    """Score the golden sample with the production function, in the workers that will score.

    Raises: RunError: the workers cannot load the model; or the number of differences and the greatest one, never a
        value.
    """
    golden = pq.read_table(package.golden)
    model = ScoredModel(role="golden", package=package)
    found = scored_in_spark(spark, golden.select([feature.name for feature in package.features]), model)
    if reason := next((text for text in found["detail"].to_pylist() if (text or "").startswith(NOT_LOADED)), None):
        raise not_loaded(package.uri, reason=reason.removeprefix(NOT_LOADED))
    compare_golden(package, golden=golden, found=found)


def scored_in_spark(spark: SparkSession, rows: pa.Table, model: ScoredModel) -> pa.Table:
    """`score`, `label`, `reason` and `detail` of rows of features, in their order."""
    names = {feature.name: feature.type for feature in model.package.features} | {ROW: "bigint"}
    kinds = {text: T.DataType.fromDDL(text) for text in set(names.values())}
    numbered = rows.append_column(ROW, pa.array(range(len(rows)), pa.int64()))
    # without a schema Spark takes every timestamp for an instant
    schema = T.StructType([T.StructField(name, kinds[names[name]]) for name in numbered.column_names])
    frame = spark.createDataFrame(numbered, schema)
    entry = F.col(SCORES)[0]
    parts = [entry[name].alias(name) for name in ("score", "label", "reason", "detail")]
    return score_rows(frame, [model]).select(ROW, *parts).toArrow().sort_by(ROW)


def compare_golden(package: Package, *, golden: pa.Table, found: pa.Table) -> None:
    """Compare `score` and `label` of two tables in the same order of rows.

    Raises: RunError if a score lies beyond the package's tolerance or a label is another.
    """
    was = golden["score"].to_numpy()
    now = found["score"].cast(pa.float64()).to_numpy()
    beyond = ~within(now, was, tolerance=package.tolerance)
    flipped = sum(a != b for a, b in zip(golden["label"].to_pylist(), found["label"].to_pylist(), strict=True))
    if beyond.any() or flipped:
        greatest = np.nanmax(np.abs(now - was)) if np.isfinite(now).any() else np.nan
        raise golden_differs(
            package.uri, rows=len(was), scores=int(beyond.sum()), labels=flipped, greatest=f"{greatest:.3g}"
        )


def within(
    now: npt.NDArray[np.float64], was: npt.NDArray[np.float64], *, tolerance: Tolerance
) -> npt.NDArray[np.bool_]:
    """Where two scores are as near as the tolerance asks; a missing one never is."""
    allowed = tolerance.ulps * np.spacing(np.abs(was)) + tolerance.relative * np.abs(was)
    return np.isfinite(now) & (np.abs(now - was) <= allowed)
