"""Keys with a long history, cut into stretches of time, so that no row ever holds all of it."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from spark_scoring.spec.wide import AsOf
from spark_scoring.wide import frames
from spark_scoring.wide.as_of import in_bucket, items_of, part_of
from spark_scoring.wide.frames import HELPER, Given, helper
from spark_scoring.wide.joint import indexes, taken
from spark_scoring.wide.zeros import holds_floats, zero_rank

CELL_ROWS = 4096
# instants before it count as this one: the difference of two is then a bigint
EARLIEST = -(2**62)


def add_by_cell(frame: DataFrame, *, step: AsOf, table: Given) -> DataFrame:
    """The frame with the taken columns of an as-of without `max_age`, over a table that is shuffled.

    An answer lies in each cell of its key that it reaches: nothing but the next answer ends it.
    """
    keys = frames.key_names(step.on)
    items = items_of(table, step=step, age_us=None)
    long = F.broadcast(long_histories(items, keys=keys, at="from"))
    answers = _answers(items, step=step).join(long, keys, "left")
    following = f"{helper('next')} - 1L"
    last = f"if({helper('next')} is null, coalesce({helper('cell_last')}, 0L), {cell(following)})"
    touched = f"explode(sequence({cell(helper('from'))}, {last}))"
    part = part_of([in_bucket(answers, bucket=touched, table=table)], steps=[step], width=None)
    timed = frame.selectExpr("*", f"{frames.instant(table.rows)} as {HELPER}at")
    met = timed.join(long, F.expr(frames.keys_match(step.on)), "left")
    placed = met.selectExpr("*", f"{cell(helper('at'))} as {HELPER}cell").drop(*keys)
    found = frames.all_of([frames.keys_match(step.on), f"{helper('cell')} = {helper('bucket')}"])
    joined = placed.join(table.strategy.hinted(indexes([part])), F.expr(found), "left")
    return taken(joined, before=frame.columns, parts=[part])


def long_histories(items: DataFrame, *, keys: Sequence[str], at: str) -> DataFrame:
    """The keys with more rows than two cells hold: where their first cell begins, its width, the last cell."""
    instant = helper(at)
    ends = [f"count(1) as {HELPER}count", f"min({instant}) as {HELPER}start", f"max({instant}) as {HELPER}end"]
    found = items.groupBy(*keys).agg(*map(F.expr, ends)).where(f"{HELPER}count > {2 * CELL_ROWS}")
    cells = f"({HELPER}count div {CELL_ROWS})"
    return found.selectExpr(
        *keys,
        f"{_late(HELPER + 'start')} as {HELPER}cell_start",
        f"({_late(HELPER + 'end')} - {_late(HELPER + 'start')}) div {cells} + 1L as {HELPER}cell_width",
        f"{cells} - 1L as {HELPER}cell_last",
    )


def cell(instant: str) -> str:
    """The number of the cell; 0 for a key that is not among the long histories, and before its first cell."""
    number = f"({_late(instant)} - {HELPER}cell_start) div {HELPER}cell_width"
    return f"coalesce(greatest(least({number}, {HELPER}cell_last), 0L), 0L)"


def _late(instant: str) -> str:
    return f"greatest({instant}, {EARLIEST}L)"


def _answers(items: DataFrame, *, step: AsOf) -> DataFrame:
    """The items as answers: from `__wide_from` to before `__wide_next` one is it, its taken columns settled."""
    keys = frames.key_names(step.on)
    by_key = f"partition by {', '.join(keys)} order by {helper('from')}"
    so_far = f"({by_key} rows between unbounded preceding and current row)"
    best = items.selectExpr(
        *keys,
        helper("from"),
        f"lead({helper('from')}) over ({by_key}) as {HELPER}next",
        f"{_best(items, so_far=so_far)} as {HELPER}take",
    )
    # of items with one `from` only the last has seen all of them
    last = best.where(f"{helper('next')} is null or {helper('from')} < {helper('next')}")
    return last.selectExpr("*", *[f"{helper('from')} as {HELPER}{name}" for name in ("time", "known")])


def _best(items: DataFrame, *, so_far: str) -> str:
    """The taken values of the greatest (time, known_at, taken columns) so far."""
    take = helper("take")
    kind = items.schema[take].dataType
    fields = kind.fields if isinstance(kind, StructType) else []
    order = f"'time', {helper('time')}, 'known', {helper('known')}, 'take', {take}"
    if not any(holds_floats(field.dataType) for field in fields):
        return f"(max(named_struct({order})) over {so_far}).take"
    values = []
    for field in fields:
        # rows that tie can still differ in the sign of a zero: then each column's 0.0 wins for itself
        value = f"{take}.{field.name}"
        zero = zero_rank(value, given=field.dataType) if holds_floats(field.dataType) else "0"
        signed = f"named_struct({order}, 'zero', {zero}, 'value', {value})"
        values.append(f"'{field.name}', (max({signed}) over {so_far}).value")
    return f"named_struct({', '.join(values)})"
