"""The wide table of some rows: a fold of the steps."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import groupby

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame

from spark_scoring.errors import key_of_other_type, step_not_possible
from spark_scoring.jvm.functions import ready
from spark_scoring.spec.wide import AsOf, Columns, Lookup, Step, WideTable, Window
from spark_scoring.wide.as_of import add_as_of
from spark_scoring.wide.columns import add_columns, add_rules
from spark_scoring.wide.frames import Given
from spark_scoring.wide.lookup import add_lookup
from spark_scoring.wide.prune import steps_read
from spark_scoring.wide.schema import checked_rows, checked_tables
from spark_scoring.wide.strategy import strategy_of
from spark_scoring.wide.window import add_windows


def transform(
    wide: WideTable,
    rows: DataFrame,
    tables: Mapping[str, DataFrame],
    needed: frozenset[str] | None = None,
    within: tuple[datetime, datetime] | None = None,
) -> DataFrame:
    """The rows' own columns, then those the steps add, then `rejected: struct<code, detail>`; no job is run.

    With `needed`, as_of, window and columns steps that nothing reads are left out. With `within`, the rows that are
    not rejected have event times in [start, end): of the time tables only what those can reach is read.

    Raises: ConfigError, RunError, before any data is read.
    """
    steps = steps_read(wide, needed=needed)
    contracts = dict.fromkeys(wide.table(step.table) for step in steps if not isinstance(step, Columns))
    known = checked_tables(tables, contracts=contracts)
    frame = checked_rows(rows, wide=wide)
    ready(frame.sparkSession)
    reaching = wide if within is None else replace(wide, rows=replace(wide.rows, time_range=within))
    for group in _groups(steps):
        with _refusals_of(f"{wide.name}: steps[{wide.steps.index(group[0])}]") as where:
            frame = _added(frame, group=group, wide=reaching, tables=known, where=where)
    with _refusals_of(f"{wide.name}: rules"):
        return add_rules(frame, rules=wide.rules)


@contextmanager
def _refusals_of(where: str) -> Iterator[str]:
    """Spark's refusals to plan a step become errors that name the step."""
    try:
        yield where
    except AnalysisException as problem:
        raise step_not_possible(where, problem=str(problem.getMessage())) from problem


def _groups(steps: Iterable[Step]) -> Iterator[tuple[Step, ...]]:
    """The steps in their order; windows that follow each other over one table and one key stand together."""
    for _, group in groupby(
        steps, key=lambda step: (step.table, step.on, step.strategy) if isinstance(step, Window) else id(step)
    ):
        yield tuple(group)


def _added(
    frame: DataFrame, *, group: tuple[Step, ...], wide: WideTable, tables: Mapping[str, DataFrame], where: str
) -> DataFrame:
    step = group[0]
    if isinstance(step, Columns):
        return add_columns(frame, step=step)
    contract = wide.table(step.table)
    there = tables[contract.name]
    table = Given(frame=there, contract=contract, rows=wide.rows, strategy=strategy_of(step, there))
    _check_keys(frame, on=step.on, table=table.frame, where=where)
    match step:
        case Lookup():
            return add_lookup(frame, step=step, table=table)
        case AsOf():
            return add_as_of(frame, step=step, table=table)
        case Window():
            return add_windows(frame, steps=[one for one in group if isinstance(one, Window)], table=table)


def _check_keys(frame: DataFrame, *, on: tuple[tuple[str, str], ...], table: DataFrame, where: str) -> None:
    """Keys are compared without a cast; the type of a column that a step computes is known only here."""
    rows, there = ({name.lower(): kind.lower() for name, kind in found.dtypes} for found in (frame, table))
    for left, right in on:
        kinds = rows[left.lower()], there[right.lower()]
        if kinds[0] != kinds[1]:
            raise key_of_other_type(where, left=left, given=kinds[0], right=right, table=kinds[1])
