"""The real flights: instants that agree with each other, nulls as nulls, Delta tables clustered by time."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from examples.flights.data import minutes, next_time_of_day, read, write_tables

DATA = Path(os.environ.get("SPARK_SCORING_CACHE", Path(__file__).parents[1] / ".cache")) / "data"


@pytest.fixture(scope="module")
def tables() -> Mapping[str, pa.Table]:
    return read(DATA)


@pytest.fixture(scope="module")
def flights(tables: Mapping[str, pa.Table]) -> pd.DataFrame:
    return tables["flights"].to_pandas()


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return pd.read_csv(DATA / "flights.csv.zip")


def test_every_row_of_the_files_is_there(tables: Mapping[str, pa.Table]) -> None:
    rows = {name: table.num_rows for name, table in tables.items()}
    assert rows == {
        "flights": 336_776,
        "arrivals": 327_346,
        "weather": 26_115,
        "planes": 3_322,
        "airports": 1_458,
    }


def test_keys_are_unique(tables: Mapping[str, pa.Table]) -> None:
    keys = {"flights": ["flight_id"], "arrivals": ["flight_id"], "planes": ["tailnum"], "airports": ["faa"]}
    keys["weather"] = ["origin", "observed_at"]
    repeated = {name: int(tables[name].to_pandas().duplicated(key).sum()) for name, key in keys.items()}
    assert set(repeated.values()) == {0}


def test_na_is_null(tables: Mapping[str, pa.Table]) -> None:
    nulls = {
        name: {column: count for column in table.column_names if (count := table[column].null_count)}
        for name, table in tables.items()
    }
    later = {"dep_delay": 8255, "air_time": 9430, "arrived_at": 9430, "arr_delay": 9430}
    assert nulls["flights"] == {"tailnum": 2512, **later}
    assert nulls["planes"] == {"year": 70, "speed": 3299}
    assert nulls["weather"]["wind_gust"] == 20_778 and "origin" not in nulls["weather"]


def test_one_flight_by_hand(flights: pd.DataFrame) -> None:
    # 5:15 in New York; gate to gate until 8:30 in Houston, an hour behind
    row = flights[flights["flight_id"] == "UA-1545-EWR-20130101T1015Z"].iloc[0]
    assert row["sched_dep"] == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert row["arrived_at"] == datetime(2013, 1, 1, 14, 30, tzinfo=UTC)
    assert (row["dep_delay"], row["arr_delay"], bool(row["cancelled"])) == (2.0, 11.0, False)


def test_departures_are_new_york_times(flights: pd.DataFrame, raw: pd.DataFrame) -> None:
    local = flights["sched_dep"].dt.tz_convert("America/New_York")
    written = (raw["month"] * 100 + raw["day"]) * 10_000 + raw["sched_dep_time"]
    shown = (local.dt.month * 100 + local.dt.day) * 10_000 + local.dt.hour * 100 + local.dt.minute
    assert sorted(shown) == sorted(written)


def test_minutes_do_not_depend_on_what_is_in_memory() -> None:
    count = pd.Series([5.0, np.nan] * 500)
    for _ in range(3):
        leftovers = [np.full(len(count), 1e308) for _ in range(8)]
        del leftovers
        assert minutes(count).dropna().unique().tolist() == [pd.Timedelta(minutes=5)]


def test_taxiing_takes_a_plausible_time(flights: pd.DataFrame) -> None:
    landed = flights[flights["arrived_at"].notna()]
    way = (landed["arrived_at"] - landed["sched_dep"]).dt.total_seconds() / 60 - landed["dep_delay"]
    taxi = way - landed["air_time"]
    assert taxi.min() >= 5 and taxi.max() <= 240 and 20 < taxi.median() < 35


def test_arrivals_agree_with_the_scheduled_arrival(flights: pd.DataFrame, raw: pd.DataFrame) -> None:
    # an independent way: the scheduled time of day at the destination, plus the delay
    zones = read(DATA)["airports"].to_pandas().set_index("faa")["tzone"]
    start = pd.to_datetime(raw["time_hour"]) + pd.to_timedelta(raw["minute"], unit="min")
    zone = raw["dest"].map(zones).fillna("America/Puerto_Rico")
    parts = [
        next_time_of_day(start[rows], hhmm=raw.loc[rows, "sched_arr_time"], zone=str(name))
        for name, rows in raw.groupby(zone).groups.items()
    ]
    due = pd.concat(parts) + minutes(raw["arr_delay"])
    names = raw["carrier"] + "-" + raw["flight"].astype(str) + "-" + raw["origin"]
    due.index = pd.Index(names + "-" + start.dt.strftime("%Y%m%dT%H%MZ"))
    arrived = flights.set_index("flight_id")["arrived_at"].dropna()
    assert (due.reindex(arrived.index) != arrived).sum() == 2


@pytest.mark.parametrize(
    ("start", "hhmm", "zone", "expected"),
    [
        pytest.param("2013-01-01T10:00", 500, "America/New_York", "2013-01-01T10:00", id="now"),
        pytest.param("2013-01-01T10:01", 500, "America/New_York", "2013-01-02T10:00", id="tomorrow"),
        pytest.param("2013-01-02T04:30", 2400, "America/New_York", "2013-01-02T05:00", id="midnight is 2400"),
        pytest.param("2013-07-01T10:00", 700, "America/New_York", "2013-07-01T11:00", id="summer"),
        pytest.param("2013-03-10T06:30", 330, "America/New_York", "2013-03-10T07:30", id="lost hour"),
        pytest.param("2013-11-03T05:30", 330, "America/New_York", "2013-11-03T08:30", id="double hour"),
    ],
)
def test_next_time_of_day(start: str, hhmm: int, zone: str, expected: str) -> None:
    found = next_time_of_day(pd.Series([pd.Timestamp(start, tz="UTC")]), hhmm=pd.Series([hhmm]), zone=zone)
    assert found.to_list() == [pd.Timestamp(expected, tz="UTC")]


@pytest.mark.slow
def test_written_tables_are_the_read_ones_in_files_apart_in_time(
    spark: SparkSession, tables: Mapping[str, pa.Table], tmp_path: Path
) -> None:
    rows = write_tables(spark, DATA, tmp_path)

    assert rows == {name: table.num_rows for name, table in tables.items()}
    for name, table in tables.items():
        written = spark.read.format("delta").load(str(tmp_path / name)).toArrow()
        order = [(column, "ascending") for column in table.column_names[:2]]
        assert written.cast(table.schema).sort_by(order).equals(table.sort_by(order)), name
    spans = file_spans(tmp_path / "arrivals", column="arrived_at")
    assert len(spans) == 11
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def file_spans(table: Path, *, column: str) -> list[tuple[datetime, datetime]]:
    """Least and greatest time of each file, in order."""
    times = [pq.read_table(file, columns=[column])[column] for file in table.glob("*.parquet")]
    return sorted((pc.min(each).as_py(), pc.max(each).as_py()) for each in times)
