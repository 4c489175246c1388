"""Check: the whole plan of a job, analysed by Spark without reading a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession

from spark_scoring.io import sources
from spark_scoring.io.sources import schema_of
from spark_scoring.models.udf import ScoredModel
from spark_scoring.run import inputs, output
from spark_scoring.run.target import check_target
from spark_scoring.spec.job import Job, Source
from spark_scoring.spec.plan import Interval, Plan
from spark_scoring.spec.read import duration_text
from spark_scoring.spec.wide import AsOf, Columns, Lookup, Step

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """One step of the wide table: what it does, over which version of which table, and what it adds."""

    step: str
    table: str
    version: int | None
    adds: tuple[str, ...]
    read_by: str


@dataclass(frozen=True, kw_only=True)
class JobReport:
    """What `check` found: the models by role, the steps, and the output's columns."""

    models: tuple[tuple[str, str], ...]
    steps: tuple[StepReport, ...]
    columns: tuple[str, ...]
    unused: tuple[str, ...]


def analyse(
    spark: SparkSession, job: Job, models: Sequence[ScoredModel], *, target: str, rows: Source | None = None
) -> DataFrame:
    """The output of some source's rows, or of no rows: every contract, column and type checked, no data read.

    Raises: ConfigError, RunError: the first thing that does not fit, in a table, the rows or the output at `target`.
    """
    wide = inputs.one_wide(models)
    tables = inputs.pin_tables(spark, job, wide)
    frame = spark.createDataFrame([], schema_of(wide.rows.columns))
    if rows is not None:
        frame = sources.read(spark, sources.pin(spark, rows, name="rows.batch"), columns=wide.rows.columns)
    plan = Plan(
        commit_id=f"{job.name}/check",
        clock=NEVER,
        input=Interval(bounds=None),
        tables=tables.versions,
        models=inputs.model_pins(models),
    )
    found = output.scored(output.from_table(frame), tables.frames(spark), job=job, models=models, plan=plan)
    check_target(spark, target, found)
    return found


def check(spark: SparkSession, job: Job) -> JobReport:
    """Resolve everything the job names, score the golden samples and analyse the plan.

    Raises: ConfigError, RunError: the first thing that does not fit.
    """
    models = inputs.load_models(spark, job)
    sides: list[tuple[str | None, Source | None]] = [(job.output.batch, job.batch)] if job.batch else []
    sides += [(job.output.stream, None)] if job.stream else []
    analysed = [analyse(spark, job, models, target=str(target), rows=rows) for target, rows in sides]
    wide = inputs.one_wide(models)
    versions = inputs.pin_tables(spark, job, wide).versions
    needed = {name.lower() for name in output.feature_names(models)}
    steps = tuple(_report(step, versions, needed) for step in wide.steps)
    read = needed | {name.lower() for rule in wide.rules for name in rule.condition.columns}
    return JobReport(
        models=tuple((m.role, f"{m.package.name} {m.package.version}, {m.package.spec.runtime}") for m in models),
        steps=steps,
        columns=tuple(analysed[0].columns),
        unused=tuple(name for name in wide.columns_added() if name.lower() not in read),
    )


def _report(step: Step, versions: dict[str, int | None], needed: set[str]) -> StepReport:
    adds = tuple(name for name, _ in step.take)
    table = "" if isinstance(step, Columns) else step.table
    return StepReport(
        step=describe(step),
        table=table,
        version=versions.get(table),
        adds=adds,
        read_by=f"{sum(name.lower() in needed for name in adds)} of {len(adds)} are features",
    )


def describe(step: Step) -> str:
    """One line on how a step is joined."""
    if isinstance(step, Columns):
        return "columns: SQL, row by row"
    keys = ", ".join(own for own, _ in step.on)
    if isinstance(step, Lookup):
        return f"lookup on {keys}: left join to one row per key"
    if isinstance(step, AsOf):
        bound = f", at most {duration_text(step.max_age)} old" if step.max_age else ""
        return f"as_of on {keys}{bound}: left join to intervals of validity"
    return f"window on {keys}, last {duration_text(step.last)}: left join to sorted buckets"
