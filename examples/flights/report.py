"""What the demo found: numbers from the output tables, and one picture beside them."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pyspark.sql.functions as F
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from examples.flights.train import LATE_MIN

matplotlib.use("Agg")


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Counts of one output table, and its scores beside the truth that became known later."""

    scored: int
    rejected: int
    truth: pd.Series
    score: pd.Series

    @property
    def auc(self) -> float:
        """How often a late flight has a greater score than one in time."""
        return float(roc_auc_score(self.truth, self.score))


def scores(spark: SparkSession, path: Path, flights: Path) -> Scores:
    """The output table at `path` against the true delays; flights that never arrived have none."""
    rows = spark.read.format("delta").load(str(path))
    actuals = spark.read.format("delta").load(str(flights)).select("flight_id", "arr_delay")
    counts = {row["outcome"]: row["count"] for row in rows.groupBy("outcome").count().collect()}
    known = rows.where("outcome = 'scored'").join(actuals.where("arr_delay is not null"), "flight_id")
    frame = known.select("score", (F.col("arr_delay") > LATE_MIN).alias("late")).toPandas()
    return Scores(
        scored=counts.get("scored", 0), rejected=counts.get("rejected", 0), truth=frame["late"], score=frame["score"]
    )


def latency(spark: SparkSession, path: Path) -> tuple[float, float]:
    """p50 and p95 in seconds, from a record's own time in Kafka to the commit that holds its score."""
    table = DeltaTable.forPath(spark, str(path))
    commits = table.history().select(
        F.get_json_object("userMetadata", "$.commit_id").alias("commit_id"), F.col("timestamp").alias("committed")
    )
    took = F.unix_millis("committed") - F.unix_millis("source.timestamp")
    seconds = _of(table.toDF().join(commits, "commit_id"), took / 1000)
    return float(np.percentile(seconds, 50)), float(np.percentile(seconds, 95))


def draw(batch: Scores, stream: Scores, *, path: Path) -> None:
    """Calibration, and the distribution of the scores, of both tables."""
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="perfect")
    for name, found, color in (("batch, September", batch, "C0"), ("stream, one week", stream, "C1")):
        share, predicted = calibration_curve(found.truth, found.score, n_bins=10, strategy="quantile")
        left.plot(predicted, share, marker="o", color=color, label=f"{name} (AUC {found.auc:.3f})")
        right.hist(found.score, bins=50, range=(0, 1), density=True, histtype="step", color=color, label=name)
    limit = 1.05 * max(line.get_ydata()[-1] for line in left.get_lines()[1:])
    left.set(xlim=(0, limit), ylim=(0, limit), xlabel="predicted probability", ylabel="share that was late")
    left.set_title(f"Calibration: more than {LATE_MIN} minutes late")
    right.set(xlabel="score", ylabel="density", title="Distribution of the scores")
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _of(frame: DataFrame, value: F.Column) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return frame.select(value.alias("value")).toPandas()["value"].to_numpy()
