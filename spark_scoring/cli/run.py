"""The commands that prepare and run a job: check, widen, package, score, stream."""

import click

from spark_scoring import show
from spark_scoring.cli.options import JOB, JSON, duration, interval, now, span, spark_for, told_to_stop
from spark_scoring.spec.job import Job
from spark_scoring.spec.wide import WideTable

SAMPLE_ROWS = 2_000


@click.command()
@JOB
@JSON
def check(job: str, as_json: bool) -> None:
    """Check a whole JOB without reading a row: files, models, tables, contracts, types.

    \b
    Example:  spark-scoring check conf/flights/job.yaml
    """
    from spark_scoring.run.check import check as checked

    spec = Job.load(job)
    with show.working(f"check {spec.name}"):
        report = checked(spark_for(spec), spec)
    show.result(report, as_json=as_json, title=f"{spec.name}: ready to run")


@click.command()
@JOB
@interval
@click.option("--out", required=True, metavar="PATH", help="The Delta table to write.")
@click.option("--wide", "wide_path", metavar="FILE", help="A wide.yaml; without it, the champion's own.")
@JSON
def widen(job: str, start: str, end: str, out: str, wide_path: str | None, as_json: bool) -> None:
    """Write a training set: the wide table of JOB's batch rows, by the code that scores.

    Rejected rows are left out and counted. Further columns of the rows, such as actuals, pass through.

    \b
    Example:  spark-scoring widen job.yaml --wide wide.yaml --from 2013-01-01 --to 2013-09-01 --out data/training
    """
    from spark_scoring.run import inputs
    from spark_scoring.run.widen import widen as widened

    spec = Job.load(job)
    within = span(start, end, "1d")
    given = WideTable.load(wide_path) if wide_path else None
    with show.working(f"widen {start}..{end}"):
        spark = spark_for(spec)
        wide = given or inputs.one_wide(inputs.load_models(spark, spec))
        done = widened(spark, spec, wide, start=within.start, end=within.end, out=out, clock=now())
    show.result(done, as_json=as_json, title="training set")


@click.command()
@click.option("--wide", "wide_path", required=True, metavar="FILE", help="The wide.yaml that the model reads.")
@click.option("--model", required=True, metavar="SOURCE", help="A joblib or pickle file, or an MLflow model URI.")
@click.option("--sample", required=True, metavar="PATH", help="Wide rows as 'widen' wrote them (Delta).")
@click.option("--name", required=True, help="The registered model's name.")
@click.option("--registry", required=True, metavar="URI", help="The MLflow registry, as sqlite:///data/mlflow.db.")
@click.option("--alias", help="An alias to point to the new version, such as champion.")
@JSON
def package(
    wide_path: str, model: str, sample: str, name: str, registry: str, alias: str | None, as_json: bool
) -> None:
    """Register a fitted model together with its wide table, as one versioned package.

    Reading a pickle runs the code in it: name only files that you trust.

    \b
    Example:  spark-scoring package --wide wide.yaml --model model.joblib --sample data/training \\
                  --name flight_delay --registry sqlite:///data/mlflow.db --alias champion
    """
    from spark_scoring.models.flavor import package as packaged
    from spark_scoring.models.load import estimator
    from spark_scoring.run.session import session
    from spark_scoring.run.widen import sample as sampled

    wide = WideTable.load(wide_path)
    with show.working(f"package {name}"):
        fitted = estimator(model, registry=registry)
        rows = sampled(session("spark-scoring package"), sample, most=SAMPLE_ROWS)
        done = packaged(fitted, wide=wide, sample=rows, name=name, registry=registry, alias=alias)
    found = {"model": done.name, "version": done.version, "alias": alias, "digest": done.digest}
    show.result(found, as_json=as_json, title="packaged")


@click.command()
@JOB
@interval
@click.option("--cut", default="1d", show_default=True, metavar="DURATION", help="Event time of one commit.")
@click.option("--resume", is_flag=True, help="Go on with the newest unfinished run of this interval, and its plan.")
@click.option("--allow-empty", is_flag=True, help="Let an interval without rows empty what the output holds.")
@JSON
def score(job: str, start: str, end: str, cut: str, resume: bool, allow_empty: bool, as_json: bool) -> None:
    """Score JOB's batch rows of an interval of event time; running it again writes the same.

    \b
    Example:  spark-scoring score conf/flights/job.yaml --from 2013-09-01 --to 2013-10-01
    """
    from spark_scoring.run import batch

    spec = Job.load(job)
    within = span(start, end, cut)
    spark = spark_for(spec)
    with show.commits(f"score {start}..{end}", total=sum(1 for _ in batch.cuts(within))) as progress:
        done = batch.score(
            spark, spec, span=within, clock=now(), allow_empty=allow_empty, resume=resume, progress=progress
        )
    found = {"run": done.run_id, "commits": len(done.plans), "in": done.counts.rows}
    found |= {"scored": done.counts.scored, "rejected": done.counts.rejected, "table": spec.output.batch}
    show.result(found, as_json=as_json, title="scored")


@click.command()
@JOB
@click.option("--once", is_flag=True, help="Work the backlog off and end, instead of waiting for more.")
@click.option(
    "--broker-timeout",
    metavar="DURATION",
    help="How long to wait for a broker that does not answer at the start, as 30s. Without it: 30s for a new output, "
    "10m for one that holds commits of this job.",
)
def stream(job: str, once: bool, broker_timeout: str | None) -> None:
    """Score JOB's topic into Delta, one commit a micro-batch. SIGTERM ends it after the micro-batch at work.

    \b
    Example:  spark-scoring stream conf/flights/job.yaml
    """
    from spark_scoring.run.stream import stream as streamed

    spec = Job.load(job)
    patience = duration("--broker-timeout", broker_timeout) if broker_timeout else None
    with told_to_stop() as (stop, handle):
        spark = spark_for(spec)
        handle()
        streamed(spark, spec, once=once, now=now, stop=stop, progress=show.commit, patience=patience)
