"""DuckDB or polars in a process of its own: work as a pickle on stdin, cost or checksum as JSON on stdout."""

import json
import pickle
import sys
from collections.abc import Mapping
from typing import Any

import duckdb
from checksum import of_arrow, of_query
from measure import cost_of
from peers import duck
from work import Table, Work


def main() -> None:
    """What the engine gives for the order on stdin."""
    order = pickle.load(sys.stdin.buffer)
    if order["name"] == "polars":
        found = _polars(order["work"], order["paths"], check=order["check"])
    else:
        query = duck.WAYS[order["way"]](order["work"], paths=order["paths"])
        found = _duckdb(order["work"], query=query, threads=order["threads"], check=order["check"])
    sys.stdout.write(json.dumps(found))


def _duckdb(work: Work, *, query: str, threads: int, check: bool) -> Mapping[str, Any]:
    connection = duckdb.connect(config={"threads": threads, "preserve_insertion_order": False})
    connection.execute("set timezone = 'UTC'")
    if check:
        return of_query(connection, query=query, work=work)
    return vars(cost_of(lambda: _drain(connection, query=query)))


def _drain(connection: duckdb.DuckDBPyConnection, *, query: str) -> None:
    """The query's answer, made in full and thrown away batch by batch."""
    for _ in connection.sql(query).to_arrow_reader(100_000):
        pass


def _polars(work: Work, paths: Mapping[Table, str], *, check: bool) -> Mapping[str, Any]:
    # here: DuckDB's runs do without it. Its threads are set in the environment before it is imported
    from peers import polars_frames

    if check:
        return of_arrow(polars_frames.answer(work, paths=paths).to_arrow(), work=work)
    return vars(cost_of(lambda: polars_frames.answer(work, paths=paths)))


if __name__ == "__main__":
    main()
