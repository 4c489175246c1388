"""The models that a stream serves: renewed between micro-batches when an alias moved, if the candidate is fit."""

import logging
from dataclasses import dataclass, replace

from pyspark.sql import SparkSession

from spark_scoring.errors import SparkScoringError, feed_not_read
from spark_scoring.models.flavor import pin
from spark_scoring.models.udf import ScoredModel
from spark_scoring.run import check, inputs
from spark_scoring.run.lane.fit import check_fit
from spark_scoring.spec.job import Job
from spark_scoring.spec.wide import WideTable

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The models in the order of the job, the versions they came from, and each refused candidate with its reason."""

    models: tuple[ScoredModel, ...]
    uris: tuple[str, ...]
    refused: tuple[tuple[str, str], ...] = ()


def begin(spark: SparkSession, job: Job) -> Serving:
    """The models that the aliases point to now.

    Raises: RunError: one of them is missing or not fit.
    """
    pinned = tuple(replace(ref, uri=pin(ref.uri, registry=job.registry)) for ref in job.models)
    models = tuple(inputs.load_model(spark, job, ref) for ref in pinned)
    return Serving(models=models, uris=tuple(ref.uri for ref in pinned))


def renewed(spark: SparkSession, job: Job, serving: Serving) -> Serving:
    """The same, with every candidate that an alias has moved to and that is fit to serve.

    A candidate that is not fit is named in `refused` and the log, and not tried again until the alias moves. A
    registry that cannot be reached changes nothing.
    """
    for place in range(len(job.models)):
        try:
            uri = pin(job.models[place].uri, registry=job.registry)
        except SparkScoringError as error:
            log.warning("%s stays: %s", serving.uris[place], error)
            continue
        if uri != serving.uris[place] and uri not in dict(serving.refused):
            serving = _tried(spark, job, serving, place=place, uri=uri)
    return serving


def _tried(spark: SparkSession, job: Job, serving: Serving, *, place: int, uri: str) -> Serving:
    try:
        candidate = inputs.load_model(spark, job, replace(job.models[place], uri=uri))
        models = (*serving.models[:place], candidate, *serving.models[place + 1 :])
        # what reads and gives the same goes into the plan that runs; a stream waits while another is analysed
        if _contract(candidate) != _contract(serving.models[place]):
            check_feeds(job, inputs.one_wide(serving.models), inputs.one_wide(models))
            check.analyse(spark, job, models, target=str(job.output.stream))
        check_fit(spark, job, models)
    except SparkScoringError as error:
        log.warning("%s is refused, %s stays: %s", uri, serving.uris[place], error)
        return replace(serving, refused=(*serving.refused, (uri, str(error))))
    log.info("%s takes over from %s", uri, serving.uris[place])
    uris = (*serving.uris[:place], uri, *serving.uris[place + 1 :])
    return replace(serving, models=models, uris=uris)


def _contract(model: ScoredModel) -> tuple[object, ...]:
    """All of a model that the plan of its scores depends on, but for its name and what it answers."""
    package = model.package
    return package.wide, package.features, package.classes


def check_feeds(job: Job, before: WideTable, after: WideTable) -> None:
    """A stream reads the feeds that it began with, each with the columns that it began with."""
    for name in (table.name for table in job.tables if table.feed):
        fed, read = ([t for t in wide.tables if t.name.lower() == name.lower()] for wide in (before, after))
        there = {column.name.lower() for table in fed for column in table.columns}
        if missing := [column.name for table in read for column in table.columns if column.name.lower() not in there]:
            raise feed_not_read(name, columns=missing, job=job.path)
