"""The output rows: one for each row in, scored or rejected, in the columns that batch and stream share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from spark_scoring import errors
from spark_scoring.models.udf import ScoredModel, score_rows
from spark_scoring.run import inputs
from spark_scoring.run.prepared import AtVersions
from spark_scoring.run.reach import Reach
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Plan
from spark_scoring.spec.sql_tokens import quote
from spark_scoring.spec.wide import WideTable
from spark_scoring.wide.frames import at, column, instant, micros, named
from spark_scoring.wide.several import Space, Wanted, spaces_of, transform_each

PARTITIONS = ("event_date",)
SOURCE = "struct<topic: string, topic_id: string, partition: int, offset: bigint, timestamp: timestamp>"


def from_table(rows: DataFrame, wide: WideTable) -> DataFrame:
    """Rows that came from no topic: their `__source` and `__raw` are null.

    Columns that are not declared are left out, unless a declared one is missing: that is told with all that are there.
    """
    declared, there = {one.name.lower() for one in wide.rows.columns}, {name.lower() for name in rows.columns}
    others = [name for name in rows.columns if name.lower() not in declared and not name.startswith("__")]
    rows = rows.drop(*others) if declared <= there else rows
    return rows.selectExpr("*", f"cast(null as {SOURCE}) as __source", "cast(null as binary) as __raw")


def scored(
    rows: DataFrame,
    tables: AtVersions,
    *,
    job: Job,
    models: Sequence[ScoredModel],
    plan: Plan,
    reach: Reach | None = None,
) -> DataFrame:
    """Rows -> output rows: keys, outcome, score, what was kept, and the commit they belong to.

    `rows` carries its declared columns, `__source` and `__raw` (both null for rows that come from a table). `reach`:
    what they can reach of the tables, if known.
    """
    return stamped(unstamped(widened(rows, tables, models=models, reach=reach), job=job, models=models), plan)


def stamped(frame: DataFrame, plan: Plan) -> DataFrame:
    """What `unstamped` gives, with the commit that it belongs to."""
    # generated code holds numbers as they are and objects by reference: with the array it is the same for all commits,
    # and an index of the row's own keeps Spark from taking the instant out of it
    scored_at = f"get(array({at(micros(plan.clock))}), pmod(length(outcome), 1))"
    return frame.selectExpr("*", f"{quote(plan.commit_id)} as commit_id", f"{scored_at} as scored_at")


def wanted_by(models: Sequence[ScoredModel]) -> tuple[Wanted, ...]:
    """The different wide tables of the models, and what these read of each."""
    wides = inputs.wides_of(models)
    read = [feature_names([model for model in models if model.package.wide == one]) for one in wides]
    return tuple(Wanted(wide=one, needed=frozenset(names)) for one, names in zip(wides, read, strict=True))


def widened(
    rows: DataFrame, tables: AtVersions, *, models: Sequence[ScoredModel], reach: Reach | None = None
) -> DataFrame:
    """The rows with what the models' wide tables add. See `scored`."""
    within, keys = (reach.times, reach.keys) if reach else (None, None)
    return transform_each(wanted_by(models), rows, tables.frames, within=within, keys=keys, keeper=tables)


def unstamped(frame: DataFrame, *, job: Job, models: Sequence[ScoredModel]) -> DataFrame:
    """What `widened` gives -> output rows but for their commit. See `scored`.

    Nothing in its plan changes from one micro-batch to the next: Spark compiles the code of a plan whose literals
    are new anew, and the JVM never gets it warm.
    """
    wide, wides = inputs.one_wide(models), inputs.wides_of(models)
    spaces = spaces_of(wanted_by(models))
    placed = [_Placed(model=model, space=spaces[wides.index(model.package.wide)]) for model in models]
    reading = [replace(one.model, columns=one.space.columns) for one in placed]
    # a model runs on every row that any wide table lets through; what its own rejects is told below
    through = " or ".join(f"{space.rejected} is null" for space in spaces)
    frame = score_rows(frame, reading, where=F.expr(through))
    frame = frame.selectExpr("*", f"{_drawn(job, models, wide)} as __drawn", f"({through}) as __through")
    frame = frame.selectExpr("*", f"{_entries(placed)} as __scores")
    served = _of_served(placed, [f"get(__scores, {i})" for i in range(len(placed))])
    refused = _of_served(placed, [one.space.rejected for one in placed])
    frame = frame.selectExpr("*", f"{served} as __served", f"{refused} as __refused")
    frame = frame.selectExpr("*", f"coalesce(__refused, {_FAILED}) as __rejected")
    kept = _kept(job, placed, wide, frame)
    return frame.selectExpr(*_identity(wide), *_outcome(), *kept, *_origin())


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A model, and where its features and its wide table's rejections stand."""

    model: ScoredModel
    space: Space


_FAILED = "if(__served.reason is null, null, named_struct('code', __served.reason, 'detail', __served.detail))"


def _drawn(job: Job, models: Sequence[ScoredModel], wide: WideTable) -> str:
    """Whether the challenger serves the row."""
    share = next((model.share or 0.0 for model in models if model.role == "challenger"), 0.0)
    keys = ", ".join(f"cast({column(name)} as string)" for name in wide.rows.key)
    return f"pmod(xxhash64({quote(job.name)}, {keys}), 10000L) < {share * 10_000!r}D"


def _of_served(placed: Sequence[_Placed], values: Sequence[str]) -> str:
    """Of a value for each model that of the one that serves the row."""
    roles = [one.model.role for one in placed]
    champion = values[roles.index("champion")] if "champion" in roles else values[0]
    if "challenger" not in roles or (challenger := values[roles.index("challenger")]) == champion:
        return champion
    return f"if(__drawn, {challenger}, {champion})"


def _entries(placed: Sequence[_Placed]) -> str:
    """The scores of all models; where one's own wide table rejected the row, its reason."""
    if len({one.space.rejected for one in placed}) == 1:
        return "scores"
    return f"array({', '.join(_entry(one, i) for i, one in enumerate(placed))})"


def _entry(placed: _Placed, place: int) -> str:
    package, rejected = placed.model.package, placed.space.rejected
    names = {"role": placed.model.role, "model": package.name, "model_version": package.version}
    constants = ", ".join(f"'{name}', {quote(value)}" for name, value in names.items())
    nothing = "'score', cast(null as double), 'label', cast(null as string)"
    why = f"'reason', {rejected}.code, 'detail', {rejected}.detail"
    return f"if({rejected} is null, get(scores, {place}), named_struct({constants}, {nothing}, {why}))"


def _identity(wide: WideTable) -> Iterator[str]:
    for name in wide.rows.key:
        yield named(column(name), name)
    time = f"timestamp_micros({instant(wide.rows)})"
    yield f"{time} as event_time"
    yield f"to_date({time}) as event_date"


def _outcome() -> Iterator[str]:
    good = "__rejected is null"
    yield f"if({good}, 'scored', 'rejected') as outcome"
    yield "__rejected.code as reason"
    yield "__rejected.detail as reason_detail"
    for field in ("score", "label", "model", "model_version", "role"):
        yield f"if({good}, __served.{field}, null) as {field}"
    yield "if(__through, __scores, filter(__scores, one -> false)) as scores"


def _kept(job: Job, placed: Sequence[_Placed], wide: WideTable, frame: DataFrame) -> Iterator[str]:
    if "input" in job.output.keep:
        given = [column(declared.name) for declared in wide.rows.columns]
        yield f"struct({', '.join(given)}) as input"
    if "features" in job.output.keep:
        types = {found.name.lower(): found.dataType.simpleString() for found in frame.schema}
        names = feature_names([one.model for one in placed])
        features = [named(_feature(name, placed, types), name) for name in names]
        yield f"struct({', '.join(features)}) as features"


def _feature(name: str, placed: Sequence[_Placed], types: Mapping[str, str]) -> str:
    """What the served model read; null if it has no such feature."""
    having = [one for one in placed if name.lower() in {feature.name.lower() for feature in one.model.package.features}]
    first = having[0]
    kind = types[first.space.column(name).lower()]
    for one in having[1:]:
        if (found := types[one.space.column(name).lower()]) != kind:
            of, before = one.model.package.uri, first.model.package.uri
            raise errors.definitions_differ(f"feature {name}", given=found, of=of, known=kind, before=before)
    nothing = f"cast(null as {kind})"
    return _of_served(placed, [column(one.space.column(name)) if one in having else nothing for one in placed])


def feature_names(models: Sequence[ScoredModel]) -> list[str]:
    """The union of the models' features, each once, in the models' order."""
    return list(dict.fromkeys(feature.name for model in models for feature in model.package.features))


def _origin() -> Iterator[str]:
    yield "__source as source"
    yield "if(__rejected is null, null, __raw) as raw"
