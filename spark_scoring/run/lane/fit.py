"""What can run on the real-time lane, and why the rest cannot; said before anything starts."""

from collections.abc import Iterator, Sequence
from typing import Any

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.models.udf import ScoredModel
from spark_scoring.run import inputs, output
from spark_scoring.run.inputs import Tables
from spark_scoring.spec.job import REALTIME, Job
from spark_scoring.wide import StepStrategy, strategies
from spark_scoring.wide.strategy import BROADCAST


def model_refusal(model: ScoredModel) -> str | None:
    """Why a model cannot run on the lane; None if it can."""
    if model.compiled is not None:
        return None
    return f"it is scored in Python workers, and no task of the lane has one ({model.why})"


def step_refusal(step: StepStrategy, *, job: Job, version: int | None) -> str | None:
    """Why a step cannot run on the lane; None if it can, or if nobody reads it."""
    if step.table is None or not step.read:
        return None
    place = job.table(step.table)
    if place is not None and place.feed is not None:
        return (
            f"table {step.table} has a feed: each row would have to see what was appended just before it, and the lane "
            "looks tables up in indexes that stand still until the next refresh"
        )
    if version is None:
        return f"table {step.table} is not pinned: what it holds could change while the lane runs"
    if step.strategy != BROADCAST:
        return f"table {step.table} would be shuffled by key, and the lane shuffles nothing: {step.why}"
    return None


def check_fit(spark: SparkSession, job: Job, models: Sequence[ScoredModel]) -> None:
    """Nothing, if the job is on another lane, or all of it can run on this one.

    Raises: ConfigError with every model and step that cannot.
    """
    if job.lane == REALTIME and (found := refusals(spark, job, models)):
        raise errors.not_on_lane(job.path, reasons=found)


def refusals(spark: SparkSession, job: Job, models: Sequence[ScoredModel]) -> tuple[str, ...]:
    """Each model and step that cannot run on the lane, and why."""
    tables = inputs.pin_tables(spark, job, inputs.one_wide(models))
    return (*_models(models), *_steps(spark, job, models, tables))


def check_slots(spark: SparkSession, job: Job, *, partitions: int) -> None:
    """Nothing, if there are as many task slots as the lane and its landing need.

    Raises: ConfigError.
    """
    context: Any = spark.sparkContext._jsc.sc()
    slots = int(context.maxNumConcurrentTasks(context.resourceProfileManager().defaultResourceProfile()))
    # of a cluster that grows as it is asked nobody knows yet
    if 0 < slots <= partitions:
        raise errors.too_few_slots(job.path, partitions=partitions, slots=slots)


def _models(models: Sequence[ScoredModel]) -> Iterator[str]:
    for model in models:
        if reason := model_refusal(model):
            yield f"model {model.role}: {reason}"


def _steps(spark: SparkSession, job: Job, models: Sequence[ScoredModel], tables: Tables) -> Iterator[str]:
    frames = tables.frames(spark)
    for wide in inputs.wides_of(models):
        needed = frozenset(output.feature_names([model for model in models if model.package.wide == wide]))
        for index, step in enumerate(strategies(wide, frames, needed=needed)):
            version = tables.versions.get(step.table) if step.table else None
            if reason := step_refusal(step, job=job, version=version):
                yield f"{wide.name}: steps[{index}] {step.step.partition(' on ')[0]}: {reason}"
