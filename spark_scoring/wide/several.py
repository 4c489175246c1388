"""Several wide tables of the same rows, each in a name space of its own; steps that they share are computed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame

from spark_scoring.spec.union import union_of
from spark_scoring.spec.wide import Columns, Lookup, Step, WideTable
from spark_scoring.wide.columns import add_rules
from spark_scoring.wide.frames import HELPER, REJECTED, Keeper, Keys, column, named
from spark_scoring.wide.prune import read_by_step, steps_read
from spark_scoring.wide.schema import NO_REASON, checked_rows, rejection
from spark_scoring.wide.transform import Tables, add_steps

_SHARED = f"{HELPER}shared_rejected"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A definition, and which of its columns somebody reads."""

    wide: WideTable
    needed: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Space:
    """Where the columns of one definition stand: `columns` by their names in lower case, `rejected` its reason.

    What is not among the columns is one of the rows' own, or shared by all definitions.
    """

    columns: Mapping[str, str]
    rejected: str

    def column(self, name: str) -> str:
        """The frame's column for a column of the definition."""
        return self.columns.get(name.lower(), name)


def transform_each(
    wanted: Sequence[Wanted],
    rows: DataFrame,
    tables: Mapping[str, DataFrame],
    within: tuple[datetime, datetime] | None = None,
    keys: Keys | None = None,
    keeper: Keeper | None = None,
) -> DataFrame:
    """The rows with what all definitions add, of each where `spaces_of` says; otherwise as `transform`.

    Raises: ConfigError, RunError, before any data is read.
    """
    given = Tables(frames=tables, within=within, keys=keys or {}, keeper=keeper)
    frame = checked_rows(rows, wide=union_of([one.wide for one in wanted]))
    own = frame.columns
    shared, rest = _shared_and_rest(wanted)
    frame = frame.selectExpr("*", f"{NO_REASON} as {REJECTED}")
    frame = add_steps(frame, wide=wanted[0].wide, steps=shared, given=given)
    frame = frame.withColumnRenamed(REJECTED, _SHARED)
    for one, steps, space in zip(wanted, rest, spaces_of(wanted), strict=True):
        before = frame.columns
        # columns of the rows that this definition computes make room
        away = {name: f"{HELPER}own_{name}" for name in before if name.lower() in space.columns}
        frame = frame.selectExpr("*", f"coalesce({rejection(own, rows=one.wide.rows)}, {_SHARED}) as {REJECTED}")
        frame = frame.withColumnsRenamed(away)
        frame = add_rules(add_steps(frame, wide=one.wide, steps=steps, given=given), wide=one.wide)
        back = [named(column(away.get(name, name)), name) for name in before]
        # under other names: the next definition may add the same ones
        moved = [named(column(new), space.column(new)) for step in steps for new, _ in step.take]
        frame = frame.selectExpr(*back, *moved, f"{REJECTED} as {space.rejected}")
    return frame


def spaces_of(wanted: Sequence[Wanted]) -> tuple[Space, ...]:
    """Where `transform_each` puts the columns of each definition."""
    _, rest = _shared_and_rest(wanted)
    added = [[new for step in steps for new, _ in step.take] for steps in rest]
    return tuple(
        Space(columns={new.lower(): f"{HELPER}{i}_{new}" for new in news}, rejected=f"{HELPER}rejected_{i}")
        for i, news in enumerate(added)
    )


def _shared_and_rest(wanted: Sequence[Wanted]) -> tuple[tuple[Step, ...], list[tuple[Step, ...]]]:
    """The steps that all definitions share, and the others of each."""
    steps = [steps_read(one.wide, needed=one.needed) for one in wanted]
    shared = shared_steps([(one.wide, read) for one, read in zip(wanted, steps, strict=True)])
    return shared, [tuple(step for step in read if step not in shared) for read in steps]


def shared_steps(definitions: Sequence[tuple[WideTable, Sequence[Step]]]) -> tuple[Step, ...]:
    """The steps that all of them have, over equal columns and tables; a lookup only where no other stands before it.

    Lookups reject in their order, so that those that are not shared must come later.
    """
    (first, steps), others = definitions[0], definitions[1:]
    shared: list[Step] = []
    for step in steps:
        if all(_is_shared(step, first, of=other, steps=theirs, shared=shared) for other, theirs in others) and (
            _stands_alone(step, steps, shared)
        ):
            shared.append(step)
    return tuple(shared)


def _is_shared(step: Step, first: WideTable, *, of: WideTable, steps: Sequence[Step], shared: Sequence[Step]) -> bool:
    if step not in steps or not _stands_alone(step, steps, shared):
        return False
    return isinstance(step, Columns) or first.table(step.table) == of.table(step.table)


def _stands_alone(step: Step, steps: Sequence[Step], shared: Sequence[Step]) -> bool:
    """Whether nothing that is not shared comes before it as far as it can tell: a column it reads, or a lookup."""
    others = [other for other in steps if other not in shared and other != step]
    added = {new.lower() for other in others for new, _ in other.take}
    earlier = steps[: list(steps).index(step)]
    blocked = isinstance(step, Lookup) and any(isinstance(other, Lookup) for other in earlier if other not in shared)
    return not blocked and not read_by_step(step) & added
