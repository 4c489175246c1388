"""What the benchmark of scoring computes: rows of doubles and texts, and models fitted on their first part."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import mlflow.lightgbm
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost
from data import committed
from pyspark.sql import DataFrame, SparkSession
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from spark_scoring.models import flavor
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.package import Package, read_package
from spark_scoring.spec.wide import WideTable

FILES, TRAINING, SAMPLE = 4, 50_000, 2_000
CATEGORIES, NULLS = 12, 0.1


@dataclass(frozen=True, kw_only=True)
class Rows:
    """`id`, so many doubles `x…`, so many texts `c…`, and so many doubles `p…` that no model reads."""

    count: int
    doubles: int = 30
    texts: int = 0
    others: int = 0
    nulls: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        return (*(f"x{i}" for i in range(self.doubles)), *(f"c{i}" for i in range(self.texts)))


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """One kind of model over some rows, `models` of them; `trees` where there are any."""

    rows: Rows
    kind: str
    models: int = 1
    trees: int = 300
    leaves: int = 31
    exact: bool = False

    def tables(self) -> tuple[()]:
        """None: there are rows only."""
        return ()

    @property
    def model_names(self) -> tuple[str, ...]:
        return tuple(
            f"{self.kind}-{self.trees}-{self.leaves}-{len(self.rows.features)}-{i}" for i in range(self.models)
        )


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Where rows and models lie."""

    folder: Path

    def rows(self, rows: Rows) -> Path:
        """The folder of Parquet files, made if it is not there."""
        path = self.folder / f"scoring-{rows.count}-{rows.doubles}-{rows.texts}-{rows.others}-{rows.nulls}"
        if not (path / "_SUCCESS").exists():
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
            content, step = _content(rows), -(-rows.count // FILES)
            for i in range(FILES):
                pq.write_table(content.slice(i * step, step), path / f"part-{i}.parquet")
            (path / "_SUCCESS").touch()
        return path

    def frame(self, spark: SparkSession, rows: Rows) -> DataFrame:
        """The same as a Delta table."""
        delta = self.rows(rows).with_suffix(".delta")
        if not committed(delta):
            spark.read.parquet(str(self.rows(rows))).write.format("delta").save(str(delta))
        return spark.read.format("delta").load(str(delta))

    def model(self, work: Scoring, name: str) -> Path:
        """A folder with the model as `model.joblib`, as MLflow's own flavor `native`, and as our `package`."""
        path = self.folder / "models" / name
        if not (path / "_SUCCESS").exists():
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
            self._fit(work, path, seed=int(name.rsplit("-", 1)[1]))
            (path / "_SUCCESS").touch()
        return path

    def _fit(self, work: Scoring, path: Path, *, seed: int) -> None:
        training = _content(Rows(**{**vars(work.rows), "count": TRAINING, "others": 0}))
        frame = to_pandas(training.select(list(work.rows.features)))
        noise = np.random.default_rng(seed).normal(size=TRAINING)
        model = _estimator(work).fit(frame, (frame["x0"].fillna(0) + frame["x1"].fillna(0) + noise > 0).astype(int))
        joblib.dump(model, path / "model.joblib")
        if work.kind == "lightgbm":
            mlflow.lightgbm.save_model(model.booster_, path / "native")
        elif work.kind == "xgboost":
            mlflow.xgboost.save_model(model.get_booster(), path / "native")
        else:
            mlflow.sklearn.save_model(
                model, path / "native", pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle"
            )
        flavor.save_model(model, path / "package", wide=_wide(work.rows), sample=training.slice(0, SAMPLE))

    def packages(self, work: Scoring) -> list[Package]:
        """Our packages of all models of the work."""
        paths = [self.model(work, name) / "package" for name in work.model_names]
        return [read_package(path, uri=str(path)) for path in paths]


def _content(rows: Rows) -> pa.Table:
    random = np.random.default_rng(7)

    def column(values: Any) -> pa.Array:
        return pa.array(values, mask=random.random(rows.count) < NULLS if rows.nulls else None)

    values = np.array([f"value {i}" for i in range(CATEGORIES)], dtype=object)
    columns = {"id": pa.array(np.arange(rows.count))}
    columns |= {f"x{i}": column(random.normal(size=rows.count)) for i in range(rows.doubles)}
    columns |= {f"c{i}": column(values[random.integers(0, CATEGORIES, rows.count)]) for i in range(rows.texts)}
    columns |= {f"p{i}": column(random.normal(size=rows.count)) for i in range(rows.others)}
    return pa.table(columns)


def _estimator(work: Scoring) -> Any:
    if work.kind == "lightgbm":
        return lightgbm.LGBMClassifier(n_estimators=work.trees, num_leaves=work.leaves, n_jobs=1, verbose=-1)
    if work.kind == "xgboost":
        growth = {"grow_policy": "lossguide", "max_leaves": work.leaves, "max_depth": 0}
        return xgboost.XGBClassifier(n_estimators=work.trees, tree_method="hist", n_jobs=1, **growth)
    if work.kind == "forest":
        return RandomForestClassifier(n_estimators=work.trees, max_depth=12, n_jobs=1)
    if work.kind == "hist":
        return HistGradientBoostingClassifier(max_iter=100)
    if work.kind == "logistic":
        return LogisticRegression()
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    names = work.rows.features
    columns = [
        ("numbers", numbers, [name for name in names if name.startswith("x")]),
        ("texts", OneHotEncoder(handle_unknown="ignore"), [name for name in names if name.startswith("c")]),
    ]
    return make_pipeline(ColumnTransformer(columns), LogisticRegression(max_iter=500))


def _wide(rows: Rows) -> WideTable:
    types = {name: "double" if name.startswith("x") else "string" for name in rows.features}
    columns = {"id": "bigint not null", "t": "timestamp not null", **types}
    return WideTable.unpack({"name": "benchmark", "rows": {"key": ["id"], "time": "t", "columns": columns}})
