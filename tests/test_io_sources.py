"""Sources: Delta is pinned, every other format and catalog table is read as it is, where the job allows that."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_scoring.errors import ConfigError, RunError
from spark_scoring.io import sources
from spark_scoring.io.sources import Pin
from spark_scoring.spec.read import Reader
from spark_scoring.spec.sources import read_table_source
from spark_scoring.spec.wide import Column

COLUMNS = (Column(name="tail", type="string"), Column(name="seats", type="int"))
ROWS = [("a", 1), ("b", 2)]


@pytest.fixture
def schema(spark: SparkSession) -> Iterator[str]:
    name = f"s_{uuid4().hex[:8]}"
    spark.sql(f"create database {name}")
    yield name
    spark.sql(f"drop database {name} cascade")


@pytest.fixture
def frame(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(ROWS, "tail string, seats int").coalesce(1)


def pin(spark: SparkSession, place: dict[str, object]) -> Pin:
    source = read_table_source("planes", Reader(value=place, source="job.yaml")).source
    return sources.pin(spark, source, name="planes")


def rows(spark: SparkSession, pinned: Pin) -> list[tuple[object, ...]]:
    return sorted(tuple(row) for row in sources.read(spark, pinned, columns=COLUMNS).collect())


def test_a_delta_path(spark: SparkSession, frame: DataFrame, tmp_path: Path) -> None:
    frame.write.format("delta").save(str(tmp_path / "t"))
    pinned = pin(spark, {"delta": str(tmp_path / "t")})
    frame.write.format("delta").mode("append").save(str(tmp_path / "t"))

    assert (pinned.version, rows(spark, pinned)) == (0, ROWS)
    size = sources.size_of(spark, pinned, sources.read(spark, pinned, columns=COLUMNS))
    assert (size.files, size.rows, (size.bytes or 0) > 0) == (1, 2, True)


@pytest.mark.parametrize("more", [{}, {"pinned": False}])
def test_a_delta_table_of_the_catalog_is_pinned(
    spark: SparkSession, frame: DataFrame, schema: str, more: dict[str, object]
) -> None:
    frame.write.format("delta").saveAsTable(f"{schema}.planes")
    pinned = pin(spark, {"table": f"{schema}.planes", **more})
    frame.write.format("delta").mode("append").saveAsTable(f"{schema}.planes")

    assert (pinned.version, rows(spark, pinned)) == (0, ROWS)


def test_a_parquet_path(spark: SparkSession, frame: DataFrame, tmp_path: Path) -> None:
    frame.write.parquet(str(tmp_path / "t"))
    pinned = pin(spark, {"parquet": str(tmp_path / "t"), "pinned": False})

    assert (pinned.version, rows(spark, pinned)) == (None, ROWS)
    (file,) = (tmp_path / "t").glob("*.parquet")
    size = sources.size_of(spark, pinned, sources.read(spark, pinned, columns=COLUMNS))
    assert (size.files, size.rows, size.bytes) == (1, None, file.stat().st_size)


def test_a_csv_is_read_without_the_clock(spark: SparkSession, tmp_path: Path) -> None:
    lines = ["k,AT,n", "a,2013-09-01 06:00,1.5", "b,12:30:00,1e-20000000", "c,now,x", "d,,"]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    columns = tuple(
        Column(name=name, type=kind) for name, kind in (("k", "string"), ("at", "timestamp"), ("n", "decimal(5,1)"))
    )
    pinned = pin(spark, {"csv": str(tmp_path / "t.csv"), "pinned": False})

    found = sources.read(spark, pinned, columns=columns).selectExpr("k", "string(at)", "string(n)", "__bad").collect()
    assert [tuple(row) for row in found] == [
        ("a", "2013-09-01 06:00:00", "1.5", []),
        ("b", None, None, ["at", "n"]),
        ("c", None, None, ["at", "n"]),
        ("d", None, None, []),
    ]


def test_options_of_a_csv_are_the_users(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("tail;seats\na;1\nb;2\n")
    place = {"csv": str(tmp_path / "t.csv"), "pinned": False}
    titled = pin(spark, {**place, "options": {"Header": True, "sep": ";"}})
    assert [row[:2] for row in rows(spark, titled)] == ROWS

    bare = pin(spark, {**place, "options": {"header": False, "sep": ";"}})
    first = sources.read(spark, bare, columns=(Column(name="_c0", type="string"),)).first()
    assert first is not None and first[0] == "tail"
    with pytest.raises(ConfigError, match=r"planes: the option inferSchema: .* Leave it out\."):
        rows(spark, pin(spark, {**place, "options": {"inferSchema": True}}))


def test_a_csv_that_does_not_fit(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("tail;seats\na;1\n")
    pinned = pin(spark, {"csv": str(tmp_path / "t.csv"), "pinned": False})
    with pytest.raises(RunError, match=r"planes: the csv file has no column 'tail'\. It has: tail;seats\. "):
        rows(spark, pinned)
    for kind in ("struct<x:int>", "map<string,int>", "array<int>"):
        with pytest.raises(ConfigError, match=rf"planes: column 'plan' \({kind}\): a csv file has no nested values\."):
            sources.read(spark, pinned, columns=(*COLUMNS, Column(name="plan", type=kind)))


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_files_that_are_not_there(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    with pytest.raises(RunError, match=rf"table 'planes': not found at {tmp_path}/nowhere \(PATH_NOT_FOUND\)"):
        rows(spark, pin(spark, {kind: f"{tmp_path}/nowhere", "pinned": False}))


def test_the_files_of_a_delta_table_are_no_source(spark: SparkSession, frame: DataFrame, tmp_path: Path) -> None:
    frame.write.format("delta").save(str(tmp_path / "t"))
    with pytest.raises(ConfigError, match=r"planes: 'parquet:': a Delta table is there.* Write 'delta:' instead\."):
        pin(spark, {"parquet": str(tmp_path / "t"), "pinned": False})


@pytest.mark.parametrize("kind", ["parquet table", "view", "view of delta", "temporary view"])
def test_a_table_of_the_catalog_that_is_not_delta(
    spark: SparkSession, frame: DataFrame, schema: str, kind: str
) -> None:
    name = f"{schema}.planes"
    if kind == "temporary view":
        name = f"planes_{uuid4().hex[:8]}"
        frame.createOrReplaceTempView(name)
    elif kind == "parquet table":
        frame.write.format("parquet").saveAsTable(name)
    else:
        frame.write.format("delta" if "delta" in kind else "parquet").saveAsTable(f"{schema}.under")
        spark.sql(f"create view {name} as select * from {schema}.under")

    pinned = pin(spark, {"table": name, "pinned": False})
    assert (pinned.version, rows(spark, pinned)) == (None, ROWS)
    with pytest.raises(RunError, match=f"table 'planes': {name} is in the catalog, but is no Delta table"):
        pin(spark, {"table": name})


@pytest.mark.parametrize("name", ["no_such", "no.such", "no.such.one", "delta.`/tmp/x`"])
def test_a_table_that_is_not_in_the_catalog(spark: SparkSession, name: str) -> None:
    for more in ({}, {"pinned": False}):
        with pytest.raises(RunError, match="not found at the catalog"):
            pin(spark, {"table": name, **more})
