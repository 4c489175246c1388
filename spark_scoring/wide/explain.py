"""What each step will do, before any of it is done: how its table comes to the rows, and what is read of it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame

from spark_scoring.spec.read import duration_text
from spark_scoring.spec.wide import AsOf, Columns, Lookup, Step, Table, WideTable, Window
from spark_scoring.wide.items import read_by
from spark_scoring.wide.prune import steps_read
from spark_scoring.wide.schema import checked_tables
from spark_scoring.wide.strategy import broadcast_limit, strategy_of

ALL = "all of it"
NOBODY = "nothing needs what it adds"


@dataclass(frozen=True, kw_only=True)
class StepStrategy:
    """One step: what it does, and its strategy, `broadcast`, `shuffle`, or None where no table is joined, and why.

    `reads`: the table's columns that it reads. `reach`: how far back. `read`: False for a step that is left out.
    """

    step: str
    table: str | None
    strategy: str | None
    why: str
    reads: tuple[str, ...]
    reach: str | None
    adds: tuple[str, ...]
    read: bool


def strategies(
    wide: WideTable, tables: Mapping[str, DataFrame], needed: Iterable[str] | None = None
) -> tuple[StepStrategy, ...]:
    """What `transform` will do with these tables in each step, in the steps' order; no job is run.

    `needed`: the columns that somebody reads of the result; steps that nothing reads are left out. None: all columns.

    Raises: RunError: a table or one of its columns is missing, or has another type.
    """
    read = steps_read(wide, needed=None if needed is None else frozenset(needed))
    contracts = dict.fromkeys(wide.table(step.table) for step in read if not isinstance(step, Columns))
    known = checked_tables(tables, contracts=contracts)
    return tuple(_explained(step, wide=wide, tables=known, read=step in read) for step in wide.steps)


def _explained(step: Step, *, wide: WideTable, tables: Mapping[str, DataFrame], read: bool) -> StepStrategy:
    contract = None if isinstance(step, Columns) else wide.table(step.table)
    how, why = None, "" if read else NOBODY
    if read and contract is not None and not isinstance(step, Columns):
        table = tables[contract.name]
        found = strategy_of(step, table, limit=broadcast_limit(table.sparkSession))
        how, why = found.name, found.why
    return StepStrategy(
        step=_described(step),
        table=contract.name if contract else None,
        strategy=how,
        why=why,
        reads=tuple(_columns(step, contract=contract)) if read and contract else (),
        reach=_reach(step) if read else None,
        adds=tuple(new for new, _ in step.take),
        read=read,
    )


def _described(step: Step) -> str:
    """One line on what a step does."""
    if isinstance(step, Columns):
        return "columns: SQL, row by row"
    keys = ", ".join(left if left == right else f"{left} = {right}" for left, right in step.on)
    named = f"{step.table} on {keys}"
    if isinstance(step, Lookup):
        return f"lookup {named}: one row of the key{', required' if step.required else ''}"
    if isinstance(step, AsOf):
        age = f", at most {duration_text(step.max_age)} old" if step.max_age else ""
        return f"as_of {named}{age}{', strictly before' if step.strict else ''}: sorted index of the key"
    return f"window {named}, last {duration_text(step.last)}: sorted index of the key"


def _columns(step: Step, *, contract: Table) -> Iterator[str]:
    """The columns that a step reads of its table, in the contract's order."""
    named: set[str] = set()
    if isinstance(step, Lookup | AsOf):
        named = {source.lower() for _, source in step.take}
    if isinstance(step, Window):
        named = set(read_by([step]).names)
    if not isinstance(step, Columns):
        named |= {right.lower() for _, right in step.on}
    if isinstance(step, AsOf | Window):
        named |= {name.lower() for name in (contract.time, contract.known_at) if name}
    return (column.name for column in contract.columns if column.name.lower() in named)


def _reach(step: Step) -> str | None:
    if isinstance(step, Columns):
        return None
    back = step.last if isinstance(step, Window) else step.max_age if isinstance(step, AsOf) else None
    return ALL if back is None else f"at most {duration_text(back)} before the rows"
