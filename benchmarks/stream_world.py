"""The airline of the stream's benchmark: tables, wide tables and models, made once; the records of its topic."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import mlflow.lightgbm
import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from spark_scoring import WideTable, package, to_pandas

START_S = 1_356_998_400  # 2013-01-01
DAY_S = 86_400
ORIGINS = ("EWR", "JFK", "LGA")
CARRIERS = tuple(f"C{i}" for i in range(16))
PLANES, ARRIVALS, SAMPLE = 3_300, 330_000, 20_000
# rows come from this day on, a minute of event time for each second
FIRST_S, EVENT_S_A_SECOND = START_S + 200 * DAY_S, 60
STEPS = ("lookups", "as_of", "window")
TREES = "trees"

ROWS = {
    "id": "string not null", "carrier": "string not null", "origin": "string not null", "tailnum": "string",
    "miles": "double", "at": "timestamp not null",
}  # fmt: skip
TABLES: dict[str, Any] = {
    "planes": {"columns": {"tailnum": "string", "year": "int", "seats": "int"}},
    "airlines": {"columns": {"carrier": "string", "fleet": "int"}},
    "weather": {
        "time": "observed_at",
        "columns": {"origin": "string", "observed_at": "timestamp", "temp": "double", "wind": "double"},
    },
    "arrivals": {
        "time": "arrived_at",
        "columns": {"carrier": "string", "origin": "string", "arrived_at": "timestamp", "delay": "double"},
    },
}
LOOKUPS = [
    {"lookup": "planes", "on": ["tailnum"], "take": ["year", "seats"]},
    {"lookup": "airlines", "on": ["carrier"], "take": ["fleet"]},
]
AS_OF = {"as_of": "weather", "on": ["origin"], "max_age": "2h", "take": ["temp", "wind"]}
WINDOW = {
    "window": "arrivals", "on": ["carrier", "origin"], "last": "6h",
    "take": {"n_6h": "count(*)", "mean_6h": "mean(delay)", "max_6h": "max(delay)"},
}  # fmt: skip
FEATURES = {
    "lookups": ("miles", "year", "seats", "fleet"),
    "as_of": ("temp", "wind"),
    "window": ("n_6h", "mean_6h", "max_6h"),
}


def features(steps: tuple[str, ...]) -> list[str]:
    """What a model reads of these steps."""
    return [name for step in steps for name in FEATURES[step]]


def wide_mapping(steps: tuple[str, ...]) -> dict[str, Any]:
    """What `wide.yaml` would say of these steps."""
    found = [*LOOKUPS, *([AS_OF] if "as_of" in steps else []), *([WINDOW] if "window" in steps else [])]
    read = {step.get("lookup") or step.get("as_of") or step.get("window") for step in found}
    tables = {name: contract for name, contract in TABLES.items() if name in read}
    return {"name": "live", "rows": {"key": ["id"], "time": "at", "columns": ROWS}, "tables": tables, "steps": found}


@dataclass(frozen=True, kw_only=True)
class World:
    """A folder with the tables and models of all cells."""

    folder: Path

    def table(self, name: str) -> str:
        return str(self.folder / name)

    def native(self, model: str) -> Path:
        """The folder of a model as `model.joblib`, and as MLflow's own flavor."""
        return self.folder / "native" / model

    @property
    def registry(self) -> str:
        return f"sqlite:///{self.folder}/mlflow.db"

    @property
    def made(self) -> bool:
        return (self.folder / "_SUCCESS").exists()


def make(spark: SparkSession, folder: Path) -> World:
    """Tables as Delta, and for each number of steps a small model, for all of them also one of 300 trees."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    world = World(folder=folder)
    for name, content in _tables(np.random.default_rng(7)).items():
        frame = spark.createDataFrame(content)
        time = TABLES[name].get("time")
        placed = frame.repartitionByRange(8, time).sortWithinPartitions(time) if time else frame.coalesce(1)
        placed.write.format("delta").save(world.table(name))
    for count in range(1, len(STEPS) + 1):
        _package(spark, world, steps=STEPS[:count], name=STEPS[count - 1])
    _package(spark, world, steps=STEPS, name=TREES)
    (folder / "_SUCCESS").touch()
    return world


def others(spark: SparkSession, world: World, *, count: int) -> None:
    """Further versions of the model of 300 trees, all of them different, without an alias."""
    for i in range(count):
        _package(spark, world, steps=STEPS, name=TREES, seed=4 + i, alias=None)


def _tables(random: np.random.Generator) -> dict[str, pa.Table]:
    hours = START_S + 3600 * np.arange(365 * 24)
    count = len(hours) * len(ORIGINS)
    planes = {"tailnum": [f"N{i}" for i in range(PLANES)]}
    planes |= {"year": _ints(random, 1980, 2013, PLANES), "seats": _ints(random, 20, 400, PLANES)}
    weather = {"origin": np.repeat(ORIGINS, len(hours)), "observed_at": _instants(np.tile(hours, len(ORIGINS)))}
    weather |= {"temp": random.normal(10, 8, count), "wind": random.gamma(2, 5, count)}
    landed = np.sort(random.integers(START_S, START_S + 365 * DAY_S, ARRIVALS))
    arrivals = {"carrier": random.choice(CARRIERS, ARRIVALS), "origin": random.choice(ORIGINS, ARRIVALS)}
    arrivals |= {"arrived_at": _instants(landed), "delay": np.round(random.normal(5, 30, ARRIVALS))}
    airlines = {"carrier": list(CARRIERS), "fleet": _ints(random, 10, 900, len(CARRIERS))}
    found = {"planes": planes, "airlines": airlines, "weather": weather, "arrivals": arrivals}
    return {name: pa.table(columns) for name, columns in found.items()}


def _ints(random: np.random.Generator, low: int, high: int, count: int) -> pa.Array:
    return pa.array(random.integers(low, high, count), pa.int32())


def _instants(second: np.ndarray) -> pa.Array:
    return pa.array(second * 1_000_000).cast(pa.timestamp("us", tz="UTC"))


def _package(
    spark: SparkSession,
    world: World,
    *,
    steps: tuple[str, ...],
    name: str,
    seed: int = 3,
    alias: str | None = "champion",
) -> None:
    wide = WideTable.unpack(wide_mapping(steps))
    tables = {t.name: spark.read.format("delta").load(world.table(t.name)) for t in wide.tables}
    sample = wide.transform(_rows(spark), tables).drop("rejected").toArrow()
    frame = to_pandas(sample)[features(steps)].astype(float)
    noise = np.random.default_rng(seed).normal(size=len(frame))
    late = (frame["miles"] / 1000 + frame["seats"].fillna(100) / 200 + noise > 2).astype(int)
    model = _estimator(name).fit(frame, late)
    package(model, wide=wide, sample=sample, name=name, registry=world.registry, alias=alias, trust=True)
    if alias is None:
        return
    world.native(name).mkdir(parents=True)
    joblib.dump(model, world.native(name) / "model.joblib")
    if name == TREES:
        mlflow.lightgbm.save_model(model.booster_, world.native(name) / "mlflow")


def _estimator(name: str) -> Any:
    if name == TREES:
        return lightgbm.LGBMClassifier(n_estimators=300, num_leaves=31, n_jobs=1, verbose=-1)
    return make_pipeline(SimpleImputer(), LogisticRegression(max_iter=300))


def _rows(spark: SparkSession) -> DataFrame:
    texts = [json.loads(value) for value in _values(SAMPLE, a_second=20)]
    schema = "id string, carrier string, origin string, tailnum string, miles double, at string"
    frame = spark.createDataFrame([tuple(text.values()) for text in texts], schema)
    return frame.selectExpr("id", "carrier", "origin", "tailnum", "miles", "cast(at as timestamp) as at")


def _values(count: int, *, a_second: int) -> Iterator[str]:
    return (value for value, _ in zip(values(a_second=a_second), range(count), strict=False))


def values(*, a_second: int) -> Iterator[str]:
    """Records without an end, as JSON; `a_second` of them for each second of the clock."""
    random = np.random.default_rng(11)
    kinds = [
        (random.choice(CARRIERS), random.choice(ORIGINS), f"N{random.integers(PLANES + 200)}", random.integers(3000))
        for _ in range(5_000)
    ]
    i = 0
    while True:
        carrier, origin, tail, miles = kinds[i * 7919 % len(kinds)]
        at = np.datetime64(FIRST_S * 1_000_000 + i * EVENT_S_A_SECOND * 1_000_000 // a_second, "us")
        yield (
            f'{{"id": "r{i}", "carrier": "{carrier}", "origin": "{origin}", "tailnum": "{tail}", '
            f'"miles": {miles}.5, "at": "{at}Z"}}'
        )
        i += 1
