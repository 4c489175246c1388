"""The rows of a time table that a row can see at all, with their instants in microseconds."""

from pyspark.sql import DataFrame

from spark_scoring.spec.nouns import EPOCH_TO_2100
from spark_scoring.spec.wide import Table
from spark_scoring.wide.frames import Given, all_of, at, bounds_us, column, keys_known, keys_of_rows


def reachable(table: Given, *, on: tuple[tuple[str, str], ...], back_us: int | None) -> DataFrame:
    """The table rows with a whole key, a time and a `known_at` that some row of `time_range` reaches.

    The bounds are literals: those of a range that somebody gave reach the files as filters. What is left cannot
    overflow a bigint.
    """
    start, end = bounds_us(table.rows)
    time, known_at = _columns(table.contract)
    # of the range that holds everything Parquet would read a column's whole dictionary, to find nothing to leave out
    in_files = table.rows.time_range != EPOCH_TO_2100
    conditions = [keys_known(on), *keys_of_rows(table, on=on)]
    conditions += [_bound(name, "<", end, in_files=in_files) for name in dict.fromkeys([time, known_at])]
    if back_us is not None:
        conditions.append(_bound(time, ">=", start - back_us, in_files=in_files))
    return table.frame.where(all_of(conditions))


def instants(contract: Table) -> tuple[str, str]:
    """When a table row happened and when it was known, in microseconds."""
    time, known_at = _columns(contract)
    return f"unix_micros({time})", f"unix_micros({known_at})"


def _bound(name: str, comparison: str, instant_us: int, *, in_files: bool) -> str:
    return f"{name} {comparison} {at(instant_us)}" if in_files else f"unix_micros({name}) {comparison} {instant_us}L"


def _columns(contract: Table) -> tuple[str, str]:
    """The table's own columns; what has no `known_at` is known when it happens."""
    if contract.time is None:
        raise ValueError(f"table {contract.name} has no time")
    return column(contract.time), column(contract.known_at or contract.time)
