"""The commands that prepare and run a job: check, widen, package, score, stream."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from spark_scoring import errors, show
from spark_scoring.cli.options import JOB, JSON, duration, interval, now, place, span, spark_for
from spark_scoring.cli.signals import told_to_stop
from spark_scoring.spec.job import LANES, REALTIME, Job
from spark_scoring.spec.wide import WideTable

SAMPLE_ROWS = 2_000


@click.command()
@JOB
@JSON
def check(job: str, as_json: bool) -> None:
    """Check a whole JOB without reading a row: files, models, tables, contracts, types; and say how each step will run.

    \b
    Example:  spark-scoring check conf/flights/job.yaml
    """
    from spark_scoring.cli.checked import parts
    from spark_scoring.run.check import check as checked

    spec = Job.load(job)
    with show.working(f"check {spec.name}"):
        report = checked(spark_for(spec), spec)
    if spec.lane == REALTIME and report.lane:
        raise errors.not_on_lane(spec.path, reasons=report.lane)
    show.result(report, as_json=as_json, title=f"{spec.name}: ready to run", parts=parts(report))


@click.command()
@JOB
@interval
@click.option("--out", required=True, metavar="PATH", help="The Delta table to write.")
@click.option("--wide", "wide_path", metavar="FILE", help="A wide.yaml; without it, the champion's own.")
@click.option("--with", "names", multiple=True, metavar="NAME", help="An actual of JOB to join; may be given again.")
@click.option("--cut", default="7d", show_default=True, metavar="DURATION", help="Event time of one commit.")
@click.option("--resume", is_flag=True, help="Go on with the newest unfinished run of the same, and its plan.")
@JSON
def widen(
    job: str,
    start: str,
    end: str,
    out: str,
    wide_path: str | None,
    names: tuple[str, ...],
    cut: str,
    resume: bool,
    as_json: bool,
) -> None:
    """Write a training set: the wide table of JOB's batch rows, by the code that scores.

    Rejected rows are left out and counted, and with an actual also those too young for it. Further columns of the
    rows pass through.

    \b
    Example:  spark-scoring widen job.yaml --wide wide.yaml --with delay --from 2013-01-01 --to 2013-09-01 \\
                  --out data/training
    """
    from spark_scoring.run import batch
    from spark_scoring.run.widen import widen as widened

    spec = Job.load(job)
    within, out = span(start, end, cut), place("--out", out)
    wide = WideTable.load(wide_path) if wide_path else None
    actuals = [spec.actual(name, where="--with").name for name in names]
    spark = spark_for(spec)
    with show.commits(f"widen {start}..{end}", total=sum(1 for _ in batch.cuts(within))) as progress:
        done = widened(
            spark, spec, wide, span=within, out=out, clock=now(), actuals=actuals, resume=resume, progress=progress
        )
    show.result(done, as_json=as_json, title="training set")


@click.command()
@click.option("--wide", "wide_path", required=True, metavar="FILE", help="The wide.yaml that the model reads.")
@click.option("--model", required=True, metavar="SOURCE", help="A model file, or an MLflow model or run URI.")
@click.option("--sample", required=True, metavar="PATH", help="Wide rows as 'widen' wrote them (Delta).")
@click.option("--name", required=True, help="The registered model's name.")
@click.option(
    "--registry", required=True, envvar="MLFLOW_TRACKING_URI", metavar="URI",
    help="The MLflow registry, as sqlite:///data/mlflow.db; MLFLOW_TRACKING_URI if not given.",
)  # fmt: skip
@click.option("--alias", help="An alias to point to the new version, such as champion.")
@click.option("--prepare", metavar="FILE.PY:FUNCTION", help="Feature code, row by row, run before the model.")
@click.option("--features", metavar="A,B,…", help="The columns the model reads, in its order, if it names none.")
@click.option("--score-output", metavar="NAME", help="Which of several outputs is the score.")
@click.option("--trust", is_flag=True, help="Read a pickle or a pyfunc model: runs the code in it.")
@JSON
def package(wide_path: str, model: str, sample: str, features: str | None, as_json: bool, **options: Any) -> None:
    """Register a fitted model together with its wide table, as one versioned package.

    SOURCE: .skops, .onnx, LightGBM's .txt, XGBoost's .ubj or .json, .pmml; .joblib or .pkl with --trust; or models:/…
    and runs:/…. The runtime follows from the format.

    \b
    Example:  spark-scoring package --wide wide.yaml --model model.skops --sample data/training \\
                  --name flight_delay --registry sqlite:///data/mlflow.db --alias champion
    """
    from spark_scoring.models.flavor import package as packaged
    from spark_scoring.models.source import read_source
    from spark_scoring.run.session import session
    from spark_scoring.run.widen import sample as sampled

    sample = place("--sample", sample)
    wide, names = WideTable.load(wide_path), None if features is None else features.split(",")
    with show.working(f"package {options['name']}"), TemporaryDirectory() as scratch:
        fitted = read_source(model, Path(scratch) / "source", registry=options["registry"], trust=options.pop("trust"))
        rows = sampled(session("spark-scoring package"), sample, most=SAMPLE_ROWS)
        done = packaged(fitted, wide=wide, sample=rows, features=names, trust=True, **options)
    found = {"model": done.name, "version": done.version, "alias": options["alias"], "digest": done.digest}
    show.result(found | {"runtime": done.runtime, "why": done.spec.why}, as_json=as_json, title="packaged")


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--to", required=True, metavar="DIR", help="Where the jar and its README go.")
@click.option(
    "--registry", required=True, envvar="MLFLOW_TRACKING_URI", metavar="URI",
    help="The MLflow registry, as sqlite:///data/mlflow.db; MLFLOW_TRACKING_URI if not given.",
)  # fmt: skip
@JSON
def export(name: str, to: str, registry: str, as_json: bool) -> None:
    """Write a registered model as a jar: plain Java, and functions for Spark SQL and Hive.

    NAME: as in flight_delay@champion or flight_delay/7. Only models that are scored in the JVM can be exported.

    \b
    Example:  spark-scoring export flight_delay@champion --to dist --registry sqlite:///data/mlflow.db
    """
    from spark_scoring.models.compiled.export import export as exported
    from spark_scoring.models.flavor import resolve
    from spark_scoring.models.store import cache_beside
    from spark_scoring.run.session import session

    uri, folder = name if name.startswith("models:/") else f"models:/{name}", Path(to)
    if any(place.is_file() for place in (folder, *folder.parents)):
        raise errors.not_a_folder("--to", given=to)
    with show.working(f"export {name}"):
        found = resolve(uri, registry=registry, cache_dir=cache_beside(registry))
        done = exported(session("spark-scoring export"), found, folder)
    show.result({"jar": str(done.jar), "readme": str(done.readme)}, as_json=as_json, title="exported")


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
@click.option(
    "--lane", type=click.Choice(LANES), help="micro-batch, or realtime: milliseconds to a topic of scores. Else JOB's."
)
def stream(job: str, once: bool, broker_timeout: str | None, lane: str | None) -> None:
    """Score JOB's topic into Delta, one commit a micro-batch. SIGTERM ends it after the micro-batch at work.

    \b
    Example:  spark-scoring stream conf/flights/job.yaml
    """
    from spark_scoring.run.lane.runner import realtime
    from spark_scoring.run.stream import stream as micro_batches

    spec = Job.load(job)
    spec = spec.on_lane(lane or spec.lane)
    streamed = realtime if spec.lane == REALTIME else micro_batches
    patience = duration("--broker-timeout", broker_timeout) if broker_timeout else None
    with told_to_stop() as stop:
        streamed(spark_for(spec), spec, once=once, now=now, stop=stop, progress=show.commit, patience=patience)
