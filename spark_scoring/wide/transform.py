"""The wide table of some rows: a fold of the steps."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

from pyspark.sql import DataFrame

from spark_scoring.errors import key_of_other_type
from spark_scoring.jvm.functions import ready
from spark_scoring.jvm.kept import can_be_key
from spark_scoring.spec.wide import AsOf, Columns, Lookup, Step, WideTable, Window
from spark_scoring.wide.as_of import as_of_part
from spark_scoring.wide.cells import add_by_cell
from spark_scoring.wide.columns import add_columns, add_rules
from spark_scoring.wide.frames import REJECTED, Given, Keeper, Keys, keys_in, named, refusals_of
from spark_scoring.wide.items import read_by
from spark_scoring.wide.joint import Part, add_parts
from spark_scoring.wide.lookup import add_lookup
from spark_scoring.wide.prune import steps_read
from spark_scoring.wide.schema import checked_rows, checked_tables, rejection
from spark_scoring.wide.settings import check_settings
from spark_scoring.wide.strategy import BROADCAST, broadcast_limit, strategy_of
from spark_scoring.wide.window import window_part

Met = Mapping[Lookup | AsOf | Window, Given]


def transform(
    wide: WideTable,
    rows: DataFrame,
    tables: Mapping[str, DataFrame],
    needed: frozenset[str] | None = None,
    within: tuple[datetime, datetime] | None = None,
    keys: Keys | None = None,
    keeper: Keeper | None = None,
) -> DataFrame:
    """The rows' own columns, then those the steps add, then `rejected: struct<code, detail>`; no job is run.

    With `needed`, as_of, window and columns steps that nothing reads are left out. With `within`, the rows that are
    not rejected have event times in [start, end), and with `keys` no values but those in some columns: of the tables
    only what those can reach is read. A `keeper` keeps the indexes of tables that are small enough for a broadcast,
    whole, for the next call; an index that it has not kept yet is made by a job.

    Raises: ConfigError, RunError, before any data is read.
    """
    frame = checked_rows(rows, wide=wide)
    frame = frame.selectExpr("*", named(rejection(frame.columns, rows=wide.rows), REJECTED))
    given = Tables(frames=tables, within=within, keys=keys or {}, keeper=keeper)
    frame = add_steps(frame, wide=wide, steps=steps_read(wide, needed=needed), given=given)
    return add_rules(frame, wide=wide)


def add_steps(frame: DataFrame, *, wide: WideTable, steps: Sequence[Step], given: "Tables") -> DataFrame:
    """The frame, which has `rejected`, with what these steps of a definition add; one after the other.

    Raises: RunError: a table is missing, or it or a key does not fit.
    """
    contracts = dict.fromkeys(wide.table(step.table) for step in steps if not isinstance(step, Columns))
    known = checked_tables(given.frames, contracts=contracts)
    given = replace(given, keys=keys_in(wide, given.keys))
    ready(frame.sparkSession)
    check_settings(frame.sparkSession, steps=steps, rules=wide.rules)
    meets = _Meets(wide=wide, known=known, given=given, limit=broadcast_limit(frame.sparkSession))
    # once for each step: a table's size is asked of the JVM
    met = {step: meets.table_of(step) for step in steps if not isinstance(step, Columns)}
    for group in _groups(steps, met=met):
        with refusals_of(f"{wide.name}: steps[{wide.steps.index(group[0])}]") as where:
            frame = _added(frame, group=group, met=met, where=where)
    return frame


def _groups(steps: Iterable[Step], *, met: Met) -> Iterator[tuple[Step, ...]]:
    """The steps in their order; those that follow each other and can share a join stand together."""
    for _, group in groupby(steps, key=lambda step: _join_of(step, met=met)):
        yield tuple(group)


def _join_of(step: Step, *, met: Met) -> object:
    """What steps that share a join have in common."""
    if not isinstance(step, AsOf | Window):
        return id(step)
    table = met[step]
    if table.strategy.name != BROADCAST:
        return _index_of(step)
    return tuple(left.lower() for left, _ in step.on), table.keeper is None


def _index_of(step: Step) -> object:
    """What steps that share an index have in common."""
    if not isinstance(step, Window):
        return id(step)
    # what a step reads decides the order of its rows
    return step.table, step.on, step.strategy, read_by([step]).names


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables as they were given, and what is known of the rows that will meet them; see `transform`."""

    frames: Mapping[str, DataFrame]
    within: tuple[datetime, datetime] | None
    keys: Keys
    keeper: Keeper | None


@dataclass(frozen=True, kw_only=True)
class _Meets:
    """Checked tables of a definition, as its steps meet them."""

    wide: WideTable
    known: Mapping[str, DataFrame]
    given: Tables
    limit: int

    def table_of(self, step: Lookup | AsOf | Window) -> Given:
        contract = self.wide.table(step.table)
        frame, rows, given = self.known[contract.name], self.wide.rows, self.given
        strategy = strategy_of(step, frame, limit=self.limit)
        types = {column.name.lower(): column.type for column in contract.columns}
        keyed = can_be_key(types[right.lower()] for _, right in step.on)
        if given.keeper and strategy.name == BROADCAST and keyed and given.keeper.keeps(contract.name):
            return Given(frame=frame, contract=contract, rows=rows, strategy=strategy, keeper=given.keeper)
        reached = rows if given.within is None else replace(rows, time_range=given.within)
        return Given(frame=frame, contract=contract, rows=reached, strategy=strategy, keys=given.keys)


def _added(frame: DataFrame, *, group: tuple[Step, ...], met: Met, where: str) -> DataFrame:
    step = group[0]
    if isinstance(step, Columns):
        return add_columns(frame, step=step)
    table = met[step]
    for one in group:
        if not isinstance(one, Columns):
            _check_keys(frame, on=one.on, table=met[one].frame, where=where)
    if isinstance(step, Lookup):
        return add_lookup(frame, step=step, table=table)
    if isinstance(step, AsOf) and step.max_age is None and table.strategy.name != BROADCAST:
        return add_by_cell(frame, step=step, table=table)
    return add_parts(frame, parts=list(_parts(group, met=met)))


def _parts(group: tuple[Step, ...], *, met: Met) -> Iterator[Part]:
    for _, same in groupby(group, key=lambda step: AsOf if isinstance(step, AsOf) else _index_of(step)):
        steps = tuple(same)
        windows = [step for step in steps if isinstance(step, Window)]
        as_ofs = [step for step in steps if isinstance(step, AsOf)]
        if windows:
            yield window_part(windows, table=met[windows[0]])
        else:
            yield as_of_part(as_ofs, tables=[met[step] for step in as_ofs])


def _check_keys(frame: DataFrame, *, on: tuple[tuple[str, str], ...], table: DataFrame, where: str) -> None:
    """Keys are compared without a cast; the type of a column that a step computes is known only here."""
    rows, there = ({name.lower(): kind.lower() for name, kind in found.dtypes} for found in (frame, table))
    for left, right in on:
        kinds = rows[left.lower()], there[right.lower()]
        if kinds[0] != kinds[1]:
            raise key_of_other_type(where, left=left, given=kinds[0], right=right, table=kinds[1])
