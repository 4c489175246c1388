"""One commit of output, once: whoever makes it, and however often it is tried."""

import logging
from collections.abc import Callable
from dataclasses import replace

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_scoring import errors
from spark_scoring.io import delta_write
from spark_scoring.io.delta_log import Version
from spark_scoring.io.delta_write import Transaction, Written
from spark_scoring.run import ledger, output, takeover
from spark_scoring.run.faults import protected, reached
from spark_scoring.run.insist import insisting
from spark_scoring.run.ledger import Standing
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import Counts, Offsets, Plan

log = logging.getLogger(__name__)


def check_output(job: Job, known: Standing, there: Version | None) -> None:
    """Nothing, if the output that is there is the one that the ledger is of, or to be made yet.

    Raises: StateError.
    """
    if known.table is not None and (there is None or not there.follows(known.table)):
        raise errors.output_taken_away(job.path, table=str(job.output.stream))


def commit_once(
    spark: SparkSession, frame: DataFrame, plan: Plan, *, job: Job, generation: str, version: int, known: Standing,
    counted: Callable[[Plan, Counts], Plan],
) -> Standing:  # fmt: skip
    """The ledger after this commit, whose plan is this one or, where another attempt was faster, that one's.

    `frame`: output rows before they are stamped. `version`: the commit's number in its generation. `known`: the ledger
    before; where it has no table, of two first streams of a job the one that creates it is the one. `counted`: the
    plan with what was written.

    Raises: StateError: another generation has taken over, or the table is not the one that it was. RunError: the write
    was skipped.
    """
    app, made, create = takeover.app_id(job.name, generation), plan, not known.there

    def metadata(files: Written) -> str:
        nonlocal made
        rows, scored = files.counts("reason")
        made = counted(plan, Counts(rows=rows, scored=scored, rejected=rows - scored))
        reached("before_commit")
        return made.dump()

    def attempt() -> Version | None:
        return delta_write.append_once(
            output.stamped(frame, plan),
            str(job.output.stream),
            txn=Transaction(app_id=app, version=version) if protected("txn") else None,
            metadata=metadata,
            partition_by=output.PARTITIONS,
            create=create,
            check=lambda there: check_output(job, known, there),
        )

    try:
        # of a commit that is there by now an attempt finds the id; a table that is there by now stays there
        written = attempt() if create else insisting(plan.commit_id, attempt)
    except PySparkException as error:
        if not (create and delta_write.lost_race(error)):
            raise
        written = None
    if written is not None:
        return known.after(made, table=written)
    there = _made_by_another(spark, plan, job=job, generation=generation)
    assert there.newest is not None
    return known.after(there.newest, table=there.table)


def _made_by_another(spark: SparkSession, plan: Plan, *, job: Job, generation: str) -> Standing:
    # after a kill of Python alone the JVM may finish what it was told, while the next process begins
    target = str(job.output.stream)
    known = ledger.standing(spark, target, job=job.name)
    if known.generation != generation:
        raise errors.fenced(job.path, generation=str(known.generation))
    newest = known.newest
    if newest is None or newest.commit_id != plan.commit_id or _read(newest) != _read(plan):
        raise errors.skipped_write(target)
    log.info("%s: another attempt of this commit was made meanwhile", plan.commit_id)
    return known


def _read(plan: Plan) -> Offsets:
    """What the commit read; without what is known only once it is written."""
    assert isinstance(plan.input, Offsets)
    return replace(plan.input, landed=None)
