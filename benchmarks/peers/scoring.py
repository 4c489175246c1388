"""Ways to score a frame in Spark: a function from work and shelf to a frame with `id`, its columns and `s0`, `s1`, …"""

from collections.abc import Callable, Iterator

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf, pandas_udf
from pyspark.sql.types import DoubleType, StructField, StructType
from scoring_work import Scoring, Shelf

from peers.kernels import frame_kernel, kernel
from spark_scoring import score_rows

Way = Callable[[SparkSession, Scoring, Shelf], DataFrame]
AddScore = Callable[[SparkSession, Scoring, str], Column]


def ours(spark: SparkSession, work: Scoring, shelf: Shelf) -> DataFrame:
    """One pass for all models, in the JVM where there is a compiled form."""
    return score_rows(shelf.frame(spark, work.rows), shelf.packages(work))


def ours_in_arrow(spark: SparkSession, work: Scoring, shelf: Shelf) -> DataFrame:
    """One pass for all models, in Python workers."""
    return score_rows(shelf.frame(spark, work.rows), shelf.packages(work), runtime="arrow")


def scan(spark: SparkSession, work: Scoring, shelf: Shelf) -> DataFrame:
    """The rows alone."""
    return shelf.frame(spark, work.rows)


def _each(add: AddScore) -> Way:
    """One function for each model."""

    def way(spark: SparkSession, work: Scoring, shelf: Shelf) -> DataFrame:
        paths = [str(shelf.model(work, name)) for name in work.model_names]
        scores = {f"s{i}": add(spark, work, path) for i, path in enumerate(paths)}
        return shelf.frame(spark, work.rows).withColumns(scores)

    return way


def _spark_udf(spark: SparkSession, work: Scoring, path: str) -> Column:
    """MLflow's own function."""
    is_tree = work.kind in ("lightgbm", "xgboost")
    kind = "double" if is_tree else "array<double>"
    score = mlflow.pyfunc.spark_udf(spark, f"{path}/native", result_type=kind, env_manager="local")
    column = score(F.struct(*work.rows.features))
    return column if is_tree else column[1]


def _iterator_udf(spark: SparkSession, work: Scoring, path: str) -> Column:
    names, kind = list(work.rows.features), work.kind

    def score(batches: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.Series]:
        predict = frame_kernel(kind, path)
        for columns in batches:
            yield pd.Series(predict(pd.concat(columns, axis=1, keys=names)))

    score.__annotations__ = {"batches": Iterator[tuple[pd.Series, ...]], "return": Iterator[pd.Series]}
    return pandas_udf(score, "double")(*names)


def _plain_udf(spark: SparkSession, work: Scoring, path: str) -> Column:
    names, kind = list(work.rows.features), work.kind

    def score(*columns: pd.Series) -> pd.Series:
        return pd.Series(frame_kernel(kind, path)(pd.concat(columns, axis=1, keys=names)))

    score.__annotations__ = {"columns": pd.Series, "return": pd.Series}
    return pandas_udf(score, "double")(*names)


def _predict_batch(spark: SparkSession, work: Scoring, path: str) -> Column:
    names, kind = list(work.rows.features), work.kind

    def make() -> Callable[[np.ndarray], np.ndarray]:
        predict = frame_kernel(kind, path)
        return lambda values: predict(pd.DataFrame(values, columns=names))

    # one matrix: all columns as one array
    shape = [[len(names)]]
    score = predict_batch_udf(make, return_type=DoubleType(), batch_size=10_000, input_tensor_shapes=shape)
    return score(F.array(*names))


def _arrow_udf(spark: SparkSession, work: Scoring, path: str) -> Column:
    names, kind = list(work.rows.features), work.kind

    def score(*columns: pa.Array) -> pa.Array:
        return pa.array(kernel(kind, path)(pa.RecordBatch.from_arrays(list(columns), names=names)))

    score.__annotations__ = {"columns": pa.Array, "return": pa.Array}
    return arrow_udf(score, "double")(*names)


def map_in_arrow(spark: SparkSession, work: Scoring, shelf: Shelf) -> DataFrame:
    """All columns through Python and back, with a score for each model."""
    frame, names, kind = shelf.frame(spark, work.rows), list(work.rows.features), work.kind
    paths = [str(shelf.model(work, name)) for name in work.model_names]

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            inputs = batch.select(names)
            for i, path in enumerate(paths):
                # XGBoost gives float32, and the column is declared a double
                batch = batch.append_column(f"s{i}", pa.array(kernel(kind, path)(inputs), pa.float64()))
            yield batch

    added = [StructField(f"s{i}", DoubleType()) for i in range(len(paths))]
    return frame.mapInArrow(score, StructType([*frame.schema.fields, *added]))


WAYS: dict[str, Way] = {
    "spark_scoring": ours,
    "spark_scoring, Arrow": ours_in_arrow,
    "bare scan": scan,
    "mlflow spark_udf": _each(_spark_udf),
    "pandas_udf, iterator": _each(_iterator_udf),
    "pandas_udf": _each(_plain_udf),
    "predict_batch_udf": _each(_predict_batch),
    "arrow_udf + numpy": _each(_arrow_udf),
    "mapInArrow + numpy": map_in_arrow,
}
