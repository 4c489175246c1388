"""The rows of a time table that a row can see at all, with their instants in microseconds."""

from pyspark.sql import DataFrame

from spark_scoring.spec.wide import Table
from spark_scoring.wide.frames import Given, all_of, at, bounds_us, column, keys_known, keys_of_rows


def reachable(table: Given, *, on: tuple[tuple[str, str], ...], back_us: int | None) -> DataFrame:
    """The table rows with a whole key, a time and a `known_at` that some row of `time_range` reaches.

    The bounds are literals: they reach the files as filters, and what is left cannot overflow a bigint.
    """
    start, end = bounds_us(table.rows)
    time, known_at = _columns(table.contract)
    conditions = [keys_known(on), *keys_of_rows(table, on=on), f"{time} < {at(end)}", f"{known_at} < {at(end)}"]
    if back_us is not None:
        conditions.append(f"{time} >= {at(start - back_us)}")
    return table.frame.where(all_of(conditions))


def instants(contract: Table) -> tuple[str, str]:
    """When a table row happened and when it was known, in microseconds."""
    time, known_at = _columns(contract)
    return f"unix_micros({time})", f"unix_micros({known_at})"


def _columns(contract: Table) -> tuple[str, str]:
    """The table's own columns; what has no `known_at` is known when it happens."""
    if contract.time is None:
        raise ValueError(f"table {contract.name} has no time")
    return column(contract.time), column(contract.known_at or contract.time)
