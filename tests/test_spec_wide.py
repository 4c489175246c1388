# ruff: noqa: E501  a table of cases reads better with one case a line
import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from given_job import DROP, set_in
from hypothesis import given
from hypothesis import strategies as st

from spark_scoring.errors import ConfigError
from spark_scoring.spec.read import parse_yaml
from spark_scoring.spec.wide import AsOf, Lookup, WideTable, Window

CONF = Path(__file__).parents[1] / "conf" / "flights" / "wide.yaml"
GIVEN: dict[str, Any] = parse_yaml(
    """
name: flight_delay
rows:
  key: [flight_id]
  time: sched_dep
  columns: {flight_id: string not null, carrier: string not null, origin: string not null, tailnum: string,
            sched_dep: timestamp not null, extra: "map<string,int>"}
tables:
  planes: {columns: {tailnum: string, year: int, seats: int}}
  weather: {time: observed_at, columns: {origin: string, observed_at: timestamp, temp: double, wind_speed: double}}
  arrivals:
    time: arrived_at
    known_at: seen_at
    columns: {carrier: string, origin: string, arrived_at: timestamp, seen_at: timestamp, arr_delay: double}
steps:
  - lookup: planes
    on: [tailnum]
    take: {plane_year: year, seats: seats}
  - as_of: weather
    on: [origin]
    max_age: 2h
    take: [temp, wind_speed]
  - window: arrivals
    on: [carrier, origin]
    last: 6h
    take: {n_6h: count(*), mean_delay_6h: mean(arr_delay) where arr_delay > 0}
  - columns: {dep_hour: hour(sched_dep), plane_age: year(sched_dep) - plane_year, double_age: 2 * plane_age}
rules: {known_origin: "origin in ('EWR', 'JFK', 'LGA')"}
""",
    source="test",
)


def changed(change: Callable[[Any], object]) -> dict[str, Any]:
    mapping = copy.deepcopy(GIVEN)
    change(mapping)
    return mapping


def setting(path: str, value: Any) -> dict[str, Any]:
    found: dict[str, Any] = set_in(GIVEN, path, value)
    return found


def message(mapping: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        WideTable.unpack(mapping, source="wide.yaml")
    return str(caught.value)


def test_what_is_read() -> None:
    wide = WideTable.unpack(GIVEN)
    assert wide.steps[0] == Lookup(
        table="planes", on=(("tailnum", "tailnum"),), take=(("plane_year", "year"), ("seats", "seats"))
    )
    assert isinstance(wide.steps[1], AsOf) and wide.steps[1].max_age == timedelta(hours=2)
    assert isinstance(wide.steps[2], Window) and wide.steps[2].take[1][1].function == "mean"
    assert wide.columns_added() == (
        "plane_year", "seats", "temp", "wind_speed", "n_6h", "mean_delay_6h", "dep_hour", "plane_age", "double_age",
    )  # fmt: skip
    assert wide.table("Weather").time == "observed_at"


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("strategy", ["broadcast", "shuffle"])
def test_a_step_may_say_its_strategy(step: int, strategy: str) -> None:
    wide = WideTable.unpack(setting(f"steps/{step}/strategy", strategy))
    others = [found for i, found in enumerate(wide.steps[:3]) if i != step]

    assert wide.steps[step].strategy == strategy and all(found.strategy is None for found in others)
    assert wide.pack()["steps"][step]["strategy"] == strategy
    assert wide != WideTable.unpack(GIVEN) and WideTable.unpack(wide.pack()) == wide


def test_a_step_without_a_strategy_is_packed_without_one() -> None:
    assert all("strategy" not in step for step in WideTable.unpack(GIVEN).pack()["steps"])


def test_the_example_in_conf() -> None:
    wide = WideTable.load(CONF)
    assert WideTable.unpack(wide.pack()) == wide


ERRORS: list[tuple[str, Any, str]] = [
    ("rowz", {}, "wide.yaml: rowz: unknown key 'rowz'. Did you mean 'rows'? Allowed: name, rows"),
    ("rows", DROP, "wide.yaml: key 'rows' is missing."),
    ("rows", [], "wide.yaml: rows: expected a mapping, got a list."),
    ("name", 5, "wide.yaml: name: expected a name, got the number 5."),
    ("rows/key", [], "wide.yaml: rows.key: expected a list of columns, at least one"),
    ("rows/key", "flight_id", "wide.yaml: rows.key: expected a list of columns, got the text 'flight_id'."),
    ("rows/key/0", "flihgt_id", "wide.yaml: rows.key[0]: unknown column of the rows 'flihgt_id'. Did you mean 'flight_id'?"),
    ("rows/time", "tailnum", "wide.yaml: rows.time: tailnum is string: the event time is an instant"),
    ("rows/columns/sched_dep", "timestamp", "wide.yaml: rows.time: sched_dep is timestamp: the event time"),
    ("rows/columns/CARRIER", "string", "wide.yaml: rows.columns.CARRIER: the name 'CARRIER' exists already"),
    ("rows/columns/Score", "double", "wide.yaml: rows.columns.Score: the name 'Score' is not allowed"),
    ("rows/columns/rejected", "int", "wide.yaml: rows.columns.rejected: the name 'rejected' is not allowed"),
    ("rows/columns/__x", "int", "wide.yaml: rows.columns.__x: the name '__x' is not allowed"),
    ("rows/columns/a b", "int", "wide.yaml: rows.columns.a b: the name 'a b' is not allowed"),
    ("rows/columns/extra", "strin", "wide.yaml: rows.columns.extra: 'strin' is not allowed here."),
    ("rows/time_range", ["2100-01-01", "1970-01-01"], "wide.yaml: rows.time_range: '2100"),
    ("rows/time_range", ["0001-01-01T00:00:00+05:00", "2100-01-01"], "wide.yaml: rows.time_range[0]: '0001-01-01T00:00:00+05:00' is not"),
    ("rows/time_range", ["x", "y"], "wide.yaml: rows.time_range[0]: expected an instant"),
    ("tables/weather/time", "temp", "wide.yaml: tables.weather.time: 'temp (double)' is not allowed here."),
    ("tables/planes/known_at", "year", "wide.yaml: tables.planes.known_at: 'year (int)' is not allowed"),
    ("tables/arrivals/time", DROP, "wide.yaml: tables.arrivals: 'known_at' without 'time'"),
    ("tables/PLANES", {"columns": {"a": "int"}}, "wide.yaml: tables.PLANES: the name 'PLANES' exists already"),
    ("steps/0/lookup", "plane", "wide.yaml: steps[0].lookup: unknown table of this file 'plane'. Did you mean 'planes'?"),
    ("steps/0/on", ["origin"], "wide.yaml: steps[0].on[0]: unknown column of table planes 'origin'."),
    ("steps/0/on", {"tailnum": "year"}, "wide.yaml: steps[0].on.tailnum: key types differ: rows' tailnum is string"),
    ("steps/0/on", [], "wide.yaml: steps[0].on: expected a list of columns"),
    ("steps/0/on", ["tailnum", "TAILNUM"], "wide.yaml: steps[0].on[1]: the pair TAILNUM, TAILNUM"),
    ("steps/0/on", DROP, "wide.yaml: steps[0]: key 'on' is missing. Given: lookup, take."),
    ("steps/0/take", ["tailnum"], "wide.yaml: steps[0].take[0]: the name 'tailnum' exists already: a column of rows."),
    ("steps/0/take", {"label": "year"}, "wide.yaml: steps[0].take.label: the name 'label' is not allowed"),
    ("steps/0/take", {"x": "yeer"}, "wide.yaml: steps[0].take.x: unknown column of table planes 'yeer'."),
    ("steps/0/required", "yes", "wide.yaml: steps[0].required: expected true or false, got the text 'yes'."),
    ("steps/0/max_age", "2h", "wide.yaml: steps[0].max_age: unknown key 'max_age'."),
    ("steps/0/as_of", "weather", "wide.yaml: steps[0]: 'lookup' and 'as_of': a step does one thing."),
    ("steps/0", {"lokup": "planes"}, "wide.yaml: steps[0]: unknown key 'lokup'. Did you mean 'lookup'?"),
    ("steps/1/as_of", "planes", "wide.yaml: steps[1]: 'as_of: planes': table planes declares no 'time'."),
    ("steps/1/max_age", "2 hours", "wide.yaml: steps[1].max_age: '2 hours' is not allowed here."),
    ("steps/1/take", ["temp", "TEMP"], "wide.yaml: steps[1].take[1]: the name 'TEMP' exists already"),
    ("steps/2/last", DROP, "wide.yaml: steps[2]: key 'last' is missing."),
    (
        "steps/2/take/n_6h",
        "cnt(*)",
        "wide.yaml: steps[2].take.n_6h: unknown aggregate 'cnt(*)'. Did you mean 'count(*)'? "
        "Allowed: count, count_distinct, sum, mean, min, max, stddev, first, last.",
    ),
    ("steps/2/take/n_6h", "avg(arr_delay)", "wide.yaml: steps[2].take.n_6h: unknown aggregate 'avg(arr_delay)'. Did you mean 'mean(arr_delay)'?"),
    ("steps/2/take/n_6h", "sum(*)", "wide.yaml: steps[2].take.n_6h: 'sum(*)' is not allowed here."),
    ("steps/2/take/n_6h", "sum(carrier)", "wide.yaml: steps[2].take.n_6h: function 'sum' was given"),
    ("steps/2/take/n_6h", "sum(delay)", "wide.yaml: steps[2].take.n_6h: unknown column 'delay'. Did you mean 'arr_delay'?"),
    ("steps/2/take/n_6h", "count(*) where tailnum = 'x'", "wide.yaml: steps[2].take.n_6h: unknown column 'tailnum'."),
    ("steps/2/take/n_6h", "count(*) where arr_delay", "wide.yaml: steps[2].take.n_6h: expected a condition"),
    ("steps/2/take/n_6h", "count(*) having 1", "wide.yaml: steps[2].take.n_6h: cannot read SQL"),
    ("steps/2/take/n_6h", "count(*", "wide.yaml: steps[2].take.n_6h: cannot read SQL"),
    ("steps/2/take/n_6h", 5, "wide.yaml: steps[2].take.n_6h: expected an aggregate"),
    ("steps/3/columns/plane_age", "double_age + 1", "wide.yaml: steps[3].columns.plane_age: unknown column 'double_age'."),
    ("steps/3/columns/origin", "1 + 1", "wide.yaml: steps[3].columns.origin: the name 'origin' exists already"),
    ("steps/3/columns/dep_hour", "hour(carrier)", "wide.yaml: steps[3].columns.dep_hour: function 'hour' was given"),
    ("steps/3/columns/x", "interval 2 hours", "wide.yaml: steps[3].columns.x: expected a value"),
    ("rules/r", "reflect('a', 'b')", "wide.yaml: rules.r: 'reflect()' is not allowed: it runs Java code."),
    ("steps/2/take/n_6h", "count(*) where null", "wide.yaml: steps[2].take.n_6h: expected a condition, got null (null)."),
    ("rules/r", "null", "wide.yaml: rules.r: expected a condition, got null (null)."),
    ("rules/r", "plane_age", "wide.yaml: rules.r: expected a condition"),
    ("rules/r", True, "wide.yaml: rules.r: expected a condition, got true."),
    ("rules/KNOWN_origin", "true", "wide.yaml: rules.KNOWN_origin: the name 'KNOWN_origin' exists already"),
    ("steps", {}, "wide.yaml: steps: expected a list of steps, got a mapping."),
    ("steps/0/strategy", "broadcst", "wide.yaml: steps[0].strategy: 'broadcst' is not allowed here. Did you mean 'broadcast'?"),
    ("steps/1/strategy", "sort", "wide.yaml: steps[1].strategy: 'sort' is not allowed here. Allowed: broadcast, shuffle."),
    ("steps/2/strategy", True, "wide.yaml: steps[2].strategy: "),
    ("steps/2/stratgy", "shuffle", "wide.yaml: steps[2].stratgy: unknown key 'stratgy'. Did you mean 'strategy'?"),
    ("steps/3/strategy", "shuffle", "wide.yaml: steps[3].strategy: unknown key 'strategy'."),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "expected"), ERRORS, ids=lambda value: str(value)[:40])
def test_mistakes(path: str, value: Any, expected: str) -> None:
    assert message(setting(path, value)).startswith(expected)


@pytest.mark.parametrize("call", ["count", "count_distinct", "min", "max", "first", "last"])
def test_a_map_is_not_aggregated(call: str) -> None:
    mapping = changed(lambda m: m["tables"]["arrivals"]["columns"].update(tags="array<map<string,int>>"))
    mapping["steps"][2]["take"]["n_6h"] = f"{call}(tags)"
    given = f"function '{call}' was given tags (array<map<string,int>>). Allowed: a value without maps"
    assert message(mapping).startswith(f"wide.yaml: steps[2].take.n_6h: {given}")


def test_not_even_a_mapping() -> None:
    assert message(None) == "wide.yaml: expected a mapping, got nothing."
    assert message({1: 2}).startswith("wide.yaml: expected text as a key")


def test_a_map_is_no_key() -> None:
    mapping = changed(lambda m: m["tables"]["planes"]["columns"].update(extra="map<string,int>"))
    mapping["steps"][0]["on"] = ["extra"]
    assert "maps cannot be compared" in message(mapping)
    expected = "wide.yaml: rules.same: `extra` and `extra` in '=': maps cannot be compared."
    assert message(setting("rules", {"same": "extra = extra"})).startswith(expected)


def test_a_column_of_an_earlier_step_may_be_a_key() -> None:
    mapping = changed(lambda m: m["tables"].update(years={"columns": {"y": "int", "era": "string"}}))
    mapping["steps"].append({"lookup": "years", "on": {"plane_year": "y"}, "take": ["era"], "required": True})
    step = WideTable.unpack(mapping).steps[4]
    assert isinstance(step, Lookup) and step.required and step.on == (("plane_year", "y"),)


def test_two_ways_to_write_one_definition_are_equal() -> None:
    mapping = changed(lambda m: m["steps"][0].update(on={"TAILNUM": "tailnum"}))
    mapping["steps"][1].update(max_age="120m", take={"temp": "Temp", "wind_speed": "wind_speed"}, strict=False)
    mapping["steps"][3]["columns"]["plane_age"] = "YEAR(Sched_Dep)-plane_year"
    mapping["rows"]["time_range"] = ["1970-01-01", "2100-01-01T00:00:00Z"]
    mapping["rows"]["columns"]["tailnum"] = "STRING"
    assert WideTable.unpack(mapping) == WideTable.unpack(GIVEN)


def test_time_range_is_utc() -> None:
    wide = WideTable.unpack(setting("rows/time_range", ["2000-01-01T02:00:00+02:00", "2030-01-01"]))
    assert wide.rows.time_range == (datetime(2000, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    assert WideTable.unpack(wide.pack()) == wide


aggregates = st.sampled_from(
    ["count(*)", "count(arr_delay)", "count_distinct(carrier)", "sum(arr_delay * 2)", "mean(arr_delay)", "min(carrier)",
     "stddev(arr_delay) where arr_delay > 1e3", "first(origin)", "last(carrier) where origin = ')' or carrier = 'where'"]
)  # fmt: skip
names = st.sampled_from(["f1", "f2", "Zug", "größe", "yes", "null", "x_1"])
strategies = st.sampled_from(["broadcast", "shuffle"])
lengths = st.builds("{}{}".format, st.integers(1, 500), st.sampled_from("smhd"))
steps = st.one_of(
    st.fixed_dictionaries(
        {"lookup": st.just("planes"), "on": st.just(["tailnum"]), "take": st.dictionaries(names, st.just("year"), min_size=1)},
        optional={"required": st.booleans(), "strategy": strategies},
    ),
    st.fixed_dictionaries(
        {"as_of": st.just("weather"), "on": st.just({"origin": "Origin"}), "take": st.dictionaries(names, st.just("temp"), min_size=1)},
        optional={"strict": st.booleans(), "max_age": lengths, "strategy": strategies},
    ),
    st.fixed_dictionaries(
        {"window": st.just("arrivals"), "on": st.just(["carrier"]), "last": lengths,
         "take": st.dictionaries(names, aggregates, min_size=1)},
        optional={"strategy": strategies},
    ),
    st.fixed_dictionaries(
        {"columns": st.dictionaries(names, st.sampled_from(["1e3", "'it''s: #1'", "carrier || origin", "try_cast(null as int)", "true"]), min_size=1)}
    ),
)  # fmt: skip


@given(steps, st.dictionaries(names, st.sampled_from(["true", "origin = 'a'", "tailnum is null"])))
def test_pack_and_dump_are_read_back(step: dict[str, Any], rules: dict[str, str]) -> None:
    wide = WideTable.unpack({**GIVEN, "steps": [step], "rules": rules})
    assert WideTable.unpack(wide.pack()) == wide
    assert WideTable.unpack(parse_yaml(wide.dump(), source="x")) == wide
    assert WideTable.unpack(wide.pack()).pack() == wide.pack()
