"""A small airline: a job with tables, a packaged model, rows with every kind of fault, and its topics."""

import atexit
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from spark_scoring import Job, WideTable, package, to_pandas
from spark_scoring.testing import KafkaBroker, Record, produce

DAY = datetime(2013, 9, 1, tzinfo=UTC)

WIDE: dict[str, Any] = {
    "name": "late",
    "rows": {
        "key": ["id"],
        "time": "at",
        "columns": {
            "id": "string not null", "origin": "string not null", "tail": "string", "miles": "double",
            "at": "timestamp not null",
        },
    },
    "tables": {
        "planes": {"columns": {"tail": "string", "seats": "int"}},
        "weather": {"time": "seen", "columns": {"origin": "string", "seen": "timestamp", "temp": "double"}},
        "arrivals": {
            "time": "landed", "columns": {"origin": "string", "landed": "timestamp", "delay": "double"},
        },
    },
    "steps": [
        {"lookup": "planes", "on": ["tail"], "take": ["seats"]},
        {"as_of": "weather", "on": ["origin"], "max_age": "2h", "take": ["temp"]},
        {
            "window": "arrivals", "on": ["origin"], "last": "6h",
            "take": {"n": "count(*)", "mean_delay": "mean(delay)"},
        },
        {"columns": {"hour": "hour(at)", "per_seat": "coalesce(miles, 0) / seats"}},
    ],
    "rules": {"known_origin": "origin in ('EWR', 'JFK')"},
}  # fmt: skip
FEATURES = ["origin", "seats", "temp", "n", "mean_delay", "hour"]
HOLES = {"seats": 0, "temp": 0.0, "mean_delay": 0.0}


@dataclass(frozen=True)
class World:
    """A job file in a folder of its own, with the tables beside it."""

    spark: SparkSession
    folder: Path
    job: Job

    def table(self, name: str) -> str:
        """The path of a table."""
        return str(self.folder / name)

    def outdate(self, name: str) -> None:
        """Write the table once more, and remove the files of the version before, as VACUUM does."""
        there = self.spark.read.format("delta").load(self.table(name))
        files = there.inputFiles()
        there.localCheckpoint().write.format("delta").mode("overwrite").save(self.table(name))
        for file in files:
            Path(file.removeprefix("file:")).unlink()

    def output(self, side: str) -> list[dict[str, Any]]:
        """The rows of the batch or stream output, by key, without what belongs to the commit."""
        path = {"batch": self.job.output.batch, "stream": self.job.output.stream}[side]
        frame = self.spark.read.format("delta").load(str(path))
        rows = [row.asDict(recursive=True) for row in frame.drop("commit_id", "scored_at").collect()]
        return sorted(rows, key=lambda row: (str(row["id"]), str(row["source"])))


def make_world(
    spark: SparkSession, folder: Path, *, servers: str = "127.0.0.1:1", own_registry: bool = False, **changes: Any
) -> World:
    """Tables, a packaged champion and a job in `folder`; `changes` replace keys of the job.

    The registry is shared by all worlds, unless a test moves an alias in its own.
    """
    name = f"job_{uuid.uuid4().hex[:8]}"
    template = _template(spark)
    shutil.copytree(template, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("mlflow*"))
    mapping = job_mapping(folder, name=name, servers=servers)
    if own_registry:
        package_model(spark, folder)
    else:
        mapping["registry"] = f"sqlite:///{template}/mlflow.db"
    return World(spark=spark, folder=folder, job=Job.unpack({**mapping, **changes}, {}, source="job.yaml"))


@cache
def _template(spark: SparkSession) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="world-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_tables(spark, folder)
    package_model(spark, folder)
    return folder


def job_mapping(folder: Path, *, name: str, servers: str) -> dict[str, Any]:
    """What the job's YAML would say."""
    tables: dict[str, Any] = {table: {"delta": str(folder / table)} for table in WIDE["tables"]}
    tables["arrivals"]["feed"] = {"kafka": f"{name}_arrivals"}
    return {
        "name": name,
        "rows": {"batch": {"delta": str(folder / "flights")}, "stream": {"kafka": f"{name}_flights"}},
        "kafka": {"servers": servers, "max_rows_per_batch": 40},
        "tables": tables,
        "models": {"champion": "models:/late@champion"},
        "output": {"batch": str(folder / "scores"), "stream": str(folder / "scores_stream")},
        "state": str(folder / "state"),
        "registry": f"sqlite:///{folder}/mlflow.db",
    }


def flights(count: int = 60) -> list[dict[str, Any]]:
    """Rows of two days: most are good, some break a rule, miss a plane or have a null."""
    return [
        {
            "id": f"f{i:03d}",
            "origin": "LAX" if i % 17 == 3 else ("EWR", "JFK")[i % 2],
            "tail": None if i % 11 == 5 else f"N{i % 9}",
            "miles": None if i % 7 == 6 else 100.0 + i,
            "at": DAY + timedelta(minutes=47 * i, microseconds=i),
        }
        for i in range(count)
    ]


def arrivals(count: int = 80) -> list[dict[str, Any]]:
    """Landings of the same two days and the evening before."""
    return [
        {
            "origin": ("EWR", "JFK")[(i // 2) % 2],
            "landed": DAY - timedelta(hours=5) + timedelta(minutes=37 * i),
            "delay": None if i % 13 == 4 else (i * 7.3) % 40 - 10,
        }
        for i in range(count)
    ]


def write_tables(spark: SparkSession, folder: Path) -> None:
    """The rows and the tables of the job, as Delta."""
    weather = [
        {"origin": origin, "seen": DAY + timedelta(hours=h), "temp": 10.0 + h if h % 5 else None}
        for origin in ("EWR", "JFK")
        for h in range(-2, 50)
    ]
    tables: Mapping[str, tuple[list[dict[str, Any]], Mapping[str, str]]] = {
        "flights": (flights(), WIDE["rows"]["columns"]),
        "planes": ([{"tail": f"N{i}", "seats": 100 + i} for i in range(8)], WIDE["tables"]["planes"]["columns"]),
        "weather": (weather, WIDE["tables"]["weather"]["columns"]),
        "arrivals": (arrivals(), WIDE["tables"]["arrivals"]["columns"]),
    }
    for name, (rows, columns) in tables.items():
        schema = ", ".join(f"{column} {kind.removesuffix(' not null')}" for column, kind in columns.items())
        frame = spark.createDataFrame([tuple(row.values()) for row in rows], schema)
        frame.coalesce(1).write.format("delta").save(str(folder / name))


def package_model(
    spark: SparkSession,
    folder: Path,
    *,
    alias: str = "champion",
    strength: float = 1.0,
    mapping: Mapping[str, Any] = WIDE,
    name: str = "late",
    tables: Mapping[str, DataFrame] | None = None,
) -> None:
    """Train a logistic regression on the widened rows, over the world's tables and these, and register it."""
    wide = WideTable.unpack(mapping)
    known = {name: spark.read.format("delta").load(str(folder / name)) for name in WIDE["tables"]}
    rows = spark.read.format("delta").load(str(folder / "flights"))
    sample = wide.transform(rows, {**known, **(tables or {})}).where("rejected is null").drop("rejected").fillna(HOLES)
    table = sample.toArrow()
    frame = to_pandas(table)
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["origin"]),
        (_filled(), FEATURES[1:]),
    )
    model = make_pipeline(encoder, LogisticRegression(C=strength)).fit(frame[FEATURES], frame["miles"].fillna(0) > 130)
    package(model, wide=wide, sample=table, name=name, registry=f"sqlite:///{folder}/mlflow.db", alias=alias)


def _filled() -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(strategy="constant", fill_value=0), StandardScaler())


def record(row: Mapping[str, Any]) -> bytes:
    """A row as it stands in a topic."""
    return json.dumps({k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()}).encode()


def send(broker: KafkaBroker, topic: str, values: Iterable[bytes | None]) -> None:
    """Produce values, all acknowledged."""
    produce(broker.servers, topic, [Record(key=str(i).encode(), value=value) for i, value in enumerate(values)])


def newest_job(spark: SparkSession) -> int:
    """The number of the newest job of Spark, once its listeners know of it; of many jobs the first are forgotten."""
    jvm: Any = spark.sparkContext._jsc
    jvm.sc().listenerBus().waitUntilEmpty()
    return max(spark.sparkContext.statusTracker().getJobIdsForGroup(None), default=-1)
