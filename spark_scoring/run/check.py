"""Check: the whole plan of a job, analysed by Spark without reading a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession

from spark_scoring.io import sources
from spark_scoring.io.delta import Size
from spark_scoring.io.sources import schema_of
from spark_scoring.models.package import described
from spark_scoring.models.udf import ScoredModel
from spark_scoring.run import inputs, output
from spark_scoring.run.actuals import pin_actuals, with_actuals
from spark_scoring.run.inputs import Tables
from spark_scoring.run.lane.fit import refusals, step_refusal
from spark_scoring.run.ledger import BATCH, STREAM
from spark_scoring.run.prepared import AtVersions
from spark_scoring.run.target import check_folders, check_target
from spark_scoring.spec.job import Job, Source
from spark_scoring.spec.plan import Interval, Plan
from spark_scoring.spec.read import duration_text
from spark_scoring.spec.wide import WideTable
from spark_scoring.wide import StepStrategy, strategies, transform
from spark_scoring.wide.prune import columns_read
from spark_scoring.wide.strategy import BROADCAST

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
WHOLE = "all of it, once a version"


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """One step of the wide table: how its table, at which version, comes to the rows, and what is read of it.

    `unused`: what it adds although no model or rule needs it. `read`: False for a step that is left out. `lane`: why it
    cannot run on the real-time lane, None if it can.
    """

    step: str
    table: str
    strategy: str | None
    why: str
    version: int | None
    size: Size | None
    reads: tuple[str, ...]
    reach: str | None
    adds: tuple[str, ...]
    unused: tuple[str, ...]
    read: bool
    lane: str | None


@dataclass(frozen=True, kw_only=True)
class ActualReport:
    """An actual: the column of its table, at which version, that `widen --with` joins."""

    name: str
    place: str
    version: int | None
    size: Size
    on: tuple[tuple[str, str], ...]
    column: str
    time: str | None
    matures_after: str


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """What `check` found: the models by role, the steps, the actuals, and the output's columns.

    `unused`: columns that no model or rule needs. `left_out`: the steps that are not computed because of it.
    `lane`: what cannot run on the real-time lane, and why; None for a job without `output.topic`.
    """

    models: tuple[tuple[str, str], ...]
    steps: tuple[StepReport, ...]
    actuals: tuple[ActualReport, ...]
    columns: tuple[str, ...]
    unused: tuple[str, ...]
    left_out: tuple[str, ...]
    lane: tuple[str, ...] | None


def analyse(
    spark: SparkSession, job: Job, models: Sequence[ScoredModel], *, target: str, rows: Source | None = None
) -> DataFrame:
    """The output of some source's rows, or of no rows: every contract, column and type checked, no data read.

    Raises: ConfigError, RunError: the first thing that does not fit, in a table, the rows or the output at `target`.
    """
    check_folders(spark, job)
    wide = inputs.one_wide(models)
    tables = inputs.pin_tables(spark, job, wide)
    frame = _rows(spark, rows, wide)
    plan = Plan(
        commit_id=f"{job.name}/check",
        clock=NEVER,
        input=Interval(bounds=None),
        tables=tables.versions,
        models=inputs.model_pins(models),
    )
    found = output.scored(
        output.from_table(frame, wide), AtVersions.once(spark, tables), job=job, models=models, plan=plan
    )
    check_target(spark, target, found, job=job.name, kind=STREAM if rows is None else BATCH)
    return found


def check(spark: SparkSession, job: Job) -> JobReport:
    """Resolve everything the job names, score the golden samples and analyse the plan.

    Raises: ConfigError, RunError: the first thing that does not fit.
    """
    models = inputs.load_models(spark, job)
    sides: list[tuple[str | None, Source | None]] = [(job.output.batch, job.batch)] if job.batch else []
    sides += [(job.output.stream, None)] if job.stream else []
    analysed = [analyse(spark, job, models, target=str(target), rows=rows) for target, rows in sides]
    tables = inputs.pin_tables(spark, job, inputs.one_wide(models))
    steps = _steps(spark, job, tables, models=models)
    return JobReport(
        models=tuple((m.role, f"{described(m.package)}; {m.runtime}: {m.why}") for m in models),
        steps=steps,
        actuals=_actuals(spark, job, tables, wide=models[0].package.wide),
        columns=tuple(analysed[0].columns),
        unused=tuple(name for step in steps for name in step.unused),
        left_out=tuple(step.step for step in steps if not step.read),
        lane=refusals(spark, job, models) if job.output.topic else None,
    )


def _rows(spark: SparkSession, rows: Source | None, wide: WideTable) -> DataFrame:
    if rows is None:
        return spark.createDataFrame([], schema_of(wide.rows.columns))
    return sources.read_rows(spark, sources.pin(spark, rows, name=inputs.ROWS), columns=wide.rows.columns)


def _steps(spark: SparkSession, job: Job, tables: Tables, *, models: Sequence[ScoredModel]) -> tuple[StepReport, ...]:
    """The steps of every wide table; where there are several, each with the roles of its models."""
    frames, wides = tables.frames(spark), inputs.wides_of(models)
    sizes = {name: sources.size_of(spark, pinned, frames[name]) for name, pinned in tables.pins.items()}
    found: list[StepReport] = []
    for wide in wides:
        own = [model for model in models if model.package.wide == wide]
        of = f"{', '.join(model.role for model in own)}: " if len(wides) > 1 else ""
        needed = frozenset(output.feature_names(own))
        wanted = columns_read(wide, needed=needed)
        found += [
            StepReport(
                step=f"{of}{step.step}",
                table=step.table or "",
                strategy=step.strategy,
                why=step.why,
                version=tables.versions[step.table] if step.table else None,
                size=sizes[step.table] if step.table else None,
                reads=step.reads,
                reach=_reach(job, step, tables),
                adds=step.adds,
                unused=tuple(name for name in step.adds if name.lower() not in wanted),
                read=step.read,
                lane=step_refusal(step, job=job, version=tables.versions[step.table] if step.table else None),
            )
            for step in strategies(wide, frames, needed=needed)
        ]
    return tuple(found)


def _reach(job: Job, step: StepStrategy, tables: Tables) -> str | None:
    """How far back the runners read: an index that they keep is made of the whole table."""
    if step.table is None or step.strategy != BROADCAST or tables.versions[step.table] is None:
        return step.reach
    place = job.table(step.table)
    if place is None or place.feed is None or job.stream is None:
        return WHOLE
    return f"{step.reach}; in batch {WHOLE}" if job.batch else step.reach


def _actuals(spark: SparkSession, job: Job, tables: Tables, *, wide: WideTable) -> tuple[ActualReport, ...]:
    if not job.actuals:
        return ()
    pinned = pin_actuals(spark, job.actuals, job=job.path)
    widened = transform(wide, _rows(spark, job.batch, wide), tables.frames(spark))
    # planned, never run: contracts, columns and types are checked on the way
    with_actuals(spark, widened, pinned=pinned, rows=wide.rows, within=wide.rows.time_range)
    return tuple(
        ActualReport(
            name=one.actual.name,
            place=one.pinned.path or f"{one.actual.source.format} {one.actual.source.location}",
            version=one.pinned.version,
            size=sources.size_of(spark, one.pinned, sources.read(spark, one.pinned, columns=one.actual.columns)),
            on=one.actual.on,
            column=one.actual.column,
            time=one.actual.time,
            matures_after=duration_text(one.actual.matures_after),
        )
        for one in pinned
    )
