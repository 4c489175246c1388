"""The data of a benchmark: made once from a seed, kept in a cache folder under a name that tells what it is."""

import shutil
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType
from work import DAY_S, START_S, Keys, Table

FILES = 4
ZIPF = 1.1
DELTA_FILE_ROWS = 50_000


@dataclass(frozen=True, kw_only=True)
class Store:
    """Where generated tables lie."""

    folder: Path

    def path(self, table: Table) -> Path:
        """The table's folder, made if it is not there."""
        digest = sha256(repr(table).encode()).hexdigest()[:12]
        path = self.folder / f"{table.name}-{table.count}-{digest}"
        if not (path / "_SUCCESS").exists():
            shutil.rmtree(path, ignore_errors=True)
            _write(_content(table, seed=int(digest[:8], 16)), path=path)
        return path

    def frame(self, spark: SparkSession, *, table: Table) -> DataFrame:
        """The table as a frame; its schema is known, as a catalog or Delta's log would have it."""
        if not table.delta:
            path = str(self.path(table))
            return spark.read.schema(_schema(spark, path)).parquet(path)
        delta = self.path(table).with_suffix(".delta")
        if not committed(delta):
            _write_delta(spark.read.parquet(str(self.path(table))), path=delta, count=table.count)
        return spark.read.format("delta").load(str(delta))


def committed(delta: Path) -> bool:
    """Whether a Delta table stands there; what was only begun, and never committed, is removed."""
    if next((delta / "_delta_log").glob("*.json"), None):
        return True
    shutil.rmtree(delta, ignore_errors=True)
    return False


@cache
def _schema(spark: SparkSession, path: str) -> StructType:
    return spark.read.parquet(path).schema


def _content(table: Table, *, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    if table.grid_s:
        key, second = _grid(table, random=random)
    else:
        key = _keys(table.keys, count=table.count, random=random)
        second = random.integers(table.from_s, table.to_s, table.count)
    if table.name == "rows":
        return _rows(*_in_time(key, second), random=random)
    # of two rows with one key and time only one stays: no answer depends on a tie
    _, first = np.unique(key * table.to_s + second, return_index=True)
    return _history(*_in_time(key[first], second[first]), random=random)


def _grid(table: Table, *, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    seconds = np.arange(table.from_s, table.to_s, table.grid_s)
    key, second = np.repeat(np.arange(table.keys.count), len(seconds)), np.tile(seconds, table.keys.count)
    there = random.random(len(key)) > 0.006
    return key[there], second[there]


def _keys(keys: Keys, *, count: int, random: np.random.Generator) -> np.ndarray:
    even = random.integers(0, keys.count, count)
    if keys.shape == "zipf":
        weights = 1 / np.arange(1, keys.count + 1) ** ZIPF
        return random.choice(keys.count, size=count, p=weights / weights.sum())
    return np.where(random.random(count) < 0.5, 0, even) if keys.shape == "half" else even


def _in_time(key: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(second, kind="stable")
    return key[order], second[order]


def _instants(second: np.ndarray) -> pa.Array:
    return pa.array((START_S + second) * 1_000_000).cast(pa.timestamp("us", tz="UTC"))


def _rows(key: np.ndarray, second: np.ndarray, *, random: np.random.Generator) -> pa.Table:
    columns = {
        "id": pa.array(np.arange(len(key))),
        "k": pa.array(key),
        "t": _instants(second),
        "hour": _instants(second - second % 3600),
        "x": pa.array(random.normal(size=len(key))),
    }
    return pa.table(columns)


def _history(key: np.ndarray, second: np.ndarray, *, random: np.random.Generator) -> pa.Table:
    columns = {"k": pa.array(key), "t": _instants(second)}
    # quarters: sums of them are exact in any order, so as-of answers are compared to the last bit
    columns["v1"] = pa.array(random.integers(-400, 400, len(key)) / 4)
    columns["v2"] = pa.array(random.integers(0, 4000, len(key)) / 4)
    columns["v3"] = pa.array(random.normal(loc=10.0, scale=3.0, size=len(key)))
    return pa.table(columns)


def _write(content: pa.Table, *, path: Path) -> None:
    path.mkdir(parents=True)
    step = -(-len(content) // FILES)
    for i in range(FILES):
        pq.write_table(content.slice(i * step, step), path / f"part-{i}.parquet", row_group_size=1 << 20)
    (path / "_SUCCESS").touch()


def _write_delta(frame: DataFrame, *, path: Path, count: int) -> None:
    files = max(2, count // DELTA_FILE_ROWS)
    day = F.floor(F.unix_seconds("t") / DAY_S)
    placed = frame.repartitionByRange(files, day, "k").sortWithinPartitions("k", "t")
    placed.write.format("delta").save(str(path))
