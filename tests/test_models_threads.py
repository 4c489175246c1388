"""One thread per task: N tasks use N cores, whatever a model was told when it was trained."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from lightgbm import LGBMClassifier
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from skl2onnx import to_onnx
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from xgboost import XGBClassifier

from spark_scoring.models import flavor
from spark_scoring.models.guard import Guard
from spark_scoring.models.package import archive_of, read_package
from spark_scoring.models.sent import Sent
from spark_scoring.models.workers import Shipped, scorer
from spark_scoring.spec.wide import WideTable

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
NAMES = [f"x{i}" for i in range(20)]
ROWS, TASKS = 20_000, 2
MODELS: dict[str, Callable[[], Any]] = {
    "forest": lambda: RandomForestClassifier(100, n_jobs=-1, random_state=0),
    "hist": lambda: HistGradientBoostingClassifier(max_iter=100),
    "network": lambda: MLPClassifier((256, 256), max_iter=2, random_state=0),
    "lightgbm": lambda: LGBMClassifier(n_estimators=100, n_jobs=-1, verbose=-1),
    "xgboost": lambda: XGBClassifier(n_estimators=100, n_jobs=-1),
    "onnx": lambda: RandomForestClassifier(100, n_jobs=-1, random_state=0),
}


@pytest.fixture
def four_threads_allowed(spark: SparkSession) -> Any:
    """Spark itself tells BLAS and OpenMP of a worker to use one thread; the models must keep to it without."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    spark.sparkContext.environment.update(dict.fromkeys(names, "4"))
    yield
    for name in names:
        del spark.sparkContext.environment[name]


@pytest.mark.usefixtures("four_threads_allowed")
@pytest.mark.parametrize("name", MODELS)
def test_a_task_uses_one_thread(spark: SparkSession, tmp_path: Path, name: str) -> None:
    random = np.random.default_rng(0)
    columns = {one: random.normal(size=ROWS) for one in NAMES}
    frame = pd.DataFrame(columns).head(3000)
    model = MODELS[name]().fit(frame, (frame["x0"] + frame["x1"] > 0).astype(int))
    options: dict[str, Any] = {}
    if name == "onnx":
        model = to_onnx(model, frame.head(1).to_numpy(np.float32), options={"zipmap": False})
        options = {"features": NAMES, "score_output": "probabilities"}
    wide = WideTable.unpack({
        "name": "threads",
        "rows": {
            "key": ["x0"], "time": "t", "columns": {"t": "timestamp not null", **dict.fromkeys(NAMES, "double")},
        },
    })  # fmt: skip
    flavor.save_model(model, tmp_path / name, wide=wide, sample=pa.table(columns).slice(0, 500), **options)
    package = read_package(tmp_path / name, uri=name)
    shipped = Shipped(
        role="champion", name=name, version="1", digest=package.digest, spec=package.spec,
        archive=spark.sparkContext.broadcast(archive_of(package)), columns=tuple(NAMES),
    )  # fmt: skip
    sent = Sent.of(NAMES, types=dict.fromkeys(NAMES, "double"))
    score = scorer(sent, models=(shipped,), guard=Guard())

    def others(*given: pa.Array) -> pa.Array:
        """CPU of the process beyond that of the thread that scores, as a share; the first call loads the model."""
        score(*given)
        process, thread = time.process_time(), time.thread_time()
        score(*given)
        process, thread = time.process_time() - process, time.thread_time() - thread
        return pa.array([(process - thread) / thread] * len(given[0]))

    rows = spark.createDataFrame(pa.table(columns)).repartition(TASKS)
    share = arrow_udf(others, returnType="double")(F.lit(True), *map(F.expr, sent.expressions()))
    assert rows.select(F.max(share)).first()[0] < 0.2
