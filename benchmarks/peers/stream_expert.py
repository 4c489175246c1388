"""What an expert writes for one stream: a `foreachBatch` with broadcast tables, slices by time, a UDF, one append."""

from collections.abc import Callable
from pathlib import Path

import mlflow.pyfunc
import pyarrow as pa
import stream_world as world_of
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import Window as W
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from stream_world import World, features

from peers.kernels import kernel

SCHEMA = ", ".join(f"`{name}` {kind.removesuffix(' not null')}" for name, kind in world_of.ROWS.items())
Score = Callable[[list[str]], Column]


def expert(
    spark: SparkSession, world: World, *, servers: str, topic: str, model: str, out: Path, most: int, udf: str
) -> None:
    """Runs until the process ends. `model` names the last step; `udf`: `arrow` or `mlflow`."""
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    # the newest version at each use: such a frame moves on with its table
    tables = {name: spark.read.format("delta").load(world.table(name)) for name in world_of.TABLES}
    steps = world_of.STEPS if model == world_of.TREES else world_of.STEPS[: world_of.STEPS.index(model) + 1]
    score = _score(spark, world, udf=udf)(features(steps)) if model == world_of.TREES else None

    def commit(batch: DataFrame, batch_id: int) -> None:
        rows = _parsed(batch)
        if len(steps) > 1:
            rows = rows.persist()
        frame = _wide(rows, tables=tables, steps=steps)
        frame = frame if score is None else frame.withColumn("score", score)
        writer = frame.write.format("delta").mode("append")
        writer.option("txnAppId", "expert").option("txnVersion", batch_id).save(str(out / "scores"))
        if len(steps) > 1:
            rows.unpersist()

    reader = spark.readStream.format("kafka").option("kafka.bootstrap.servers", servers).option("subscribe", topic)
    records = reader.option("startingOffsets", "earliest").option("maxOffsetsPerTrigger", most).load()
    query = records.writeStream.foreachBatch(commit).option("checkpointLocation", str(out / "checkpoint")).start()
    query.awaitTermination()


def _parsed(batch: DataFrame) -> DataFrame:
    row = F.from_json(F.col("value").cast("string"), SCHEMA).alias("row")
    return batch.select(row, "partition", "offset", "timestamp").select("row.*", "partition", "offset", "timestamp")


def _wide(rows: DataFrame, *, tables: dict[str, DataFrame], steps: tuple[str, ...]) -> DataFrame:
    frame = rows.join(F.broadcast(tables["planes"]), "tailnum", "left")
    frame = frame.join(F.broadcast(tables["airlines"]), "carrier", "left")
    if len(steps) == 1:
        return frame
    (bounds,) = rows.agg(F.min("at").alias("low"), F.max("at").alias("high")).collect()
    low, high = (F.lit(bounds[name]) for name in ("low", "high"))
    frame = _as_of(frame, tables["weather"], low=low, high=high)
    return _window(frame, tables["arrivals"], low=low, high=high) if "window" in steps else frame


def _as_of(frame: DataFrame, weather: DataFrame, *, low: Column, high: Column) -> DataFrame:
    """An interval join with what the micro-batch can reach."""
    near = weather.where((F.col("observed_at") >= low - F.expr("interval 2 hours")) & (F.col("observed_at") <= high))
    following = F.lead("observed_at").over(W.partitionBy("origin").orderBy("observed_at"))
    latest = F.col("observed_at") + F.expr("interval 2 hours 1 microsecond")
    valid = near.select(
        F.col("origin").alias("of"), "temp", "wind", F.col("observed_at").alias("since"),
        F.least(following, latest).alias("until"),
    )  # fmt: skip
    inside = (F.col("origin") == F.col("of")) & (F.col("at") >= F.col("since")) & (F.col("at") < F.col("until"))
    return frame.join(F.broadcast(valid), inside, "left").drop("of", "since", "until")


def _window(frame: DataFrame, arrivals: DataFrame, *, low: Column, high: Column) -> DataFrame:
    """A join with what the micro-batch can reach, then an aggregate by row."""
    near = arrivals.where((F.col("arrived_at") >= low - F.expr("interval 6 hours")) & (F.col("arrived_at") < high))
    near = near.select(F.col("carrier").alias("c"), F.col("origin").alias("o"), "arrived_at", "delay")
    same = (F.col("carrier") == F.col("c")) & (F.col("origin") == F.col("o"))
    inside = (F.col("arrived_at") < F.col("at")) & (F.col("arrived_at") >= F.col("at") - F.expr("interval 6 hours"))
    joined = frame.join(F.broadcast(near), same & inside, "left")
    found = {"n_6h": F.count("arrived_at"), "mean_6h": F.avg("delay"), "max_6h": F.max("delay")}
    return joined.groupBy(*frame.columns).agg(*[value.alias(name) for name, value in found.items()])


def _score(spark: SparkSession, world: World, *, udf: str) -> Score:
    path = world.native(world_of.TREES)
    if udf == "mlflow":
        function = mlflow.pyfunc.spark_udf(spark, str(path / "mlflow"), result_type="double", env_manager="local")
        return lambda names: function(F.struct(*[F.col(name).cast("double") for name in names]))

    def score(*columns: pa.Array) -> pa.Array:
        batch = pa.RecordBatch.from_arrays(list(columns), names=[f"f{i}" for i in range(len(columns))])
        return pa.array(kernel("lightgbm", str(path))(batch))

    score.__annotations__ = {"columns": pa.Array, "return": pa.Array}
    return lambda names: arrow_udf(score, "double")(*[F.col(name).cast("double") for name in names])
