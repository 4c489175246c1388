"""The command line: one command a verb, a short table for people, `--json` for machines."""

import logging
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from spark_scoring import errors, show
from spark_scoring.errors import SparkScoringError
from spark_scoring.spec.job import Job
from spark_scoring.spec.plan import instant
from spark_scoring.spec.read import Reader
from spark_scoring.spec.wide import WideTable

JOB = click.argument("job", metavar="JOB")
JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")


def _now() -> datetime:
    return datetime.now(UTC)


def _span(start: str, end: str, cut: str) -> Any:
    from spark_scoring.run.runs import Span

    bounds = [_moment("--from", start), _moment("--to", end)]
    if bounds[0] >= bounds[1]:
        raise errors.wrong_span(start, end)
    return Span(start=bounds[0], end=bounds[1], cut=_duration("--cut", cut))


def _moment(option: str, text: str) -> datetime:
    try:
        return instant(text)
    except ValueError:
        raise errors.wrong_instant(option, given=text) from None


def _duration(option: str, text: str) -> timedelta:
    return Reader(value=text, source=option).duration()


def _interval(command: Callable[..., Any]) -> Callable[..., Any]:
    end = click.option("--to", "end", required=True, metavar="INSTANT", help="End, UTC, not part of the interval.")
    start = click.option("--from", "start", required=True, metavar="INSTANT", help="Begin, UTC, as 2013-09-01.")
    return start(end(command))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show stack traces and Spark's own log.")
@click.version_option(package_name="spark-scoring")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Score with one definition of wide table, features and model: in batch and in streams, on Spark."""
    context.obj = debug
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    for noisy in ("py4j", "kafka", "mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.INFO if debug else logging.ERROR)


@cli.command("check")
@JOB
@JSON
def check_command(job: str, as_json: bool) -> None:
    """Check a whole JOB without reading a row: files, models, tables, contracts, types.

    \b
    Example:  spark-scoring check conf/flights/job.yaml
    """
    from spark_scoring.run.check import check

    spec = Job.load(job)
    show.result(check(_spark(spec), spec), as_json=as_json, title=f"{spec.name}: ready to run")


@cli.command("widen")
@JOB
@_interval
@click.option("--out", required=True, metavar="PATH", help="The Delta table to write.")
@click.option("--wide", "wide_path", metavar="FILE", help="A wide.yaml; without it, the champion's own.")
@JSON
def widen_command(job: str, start: str, end: str, out: str, wide_path: str | None, as_json: bool) -> None:
    """Write a training set: the wide table of JOB's batch rows, by the code that scores.

    Rejected rows are left out and counted. Further columns of the rows, such as actuals, pass through.

    \b
    Example:  spark-scoring widen job.yaml --wide wide.yaml --from 2013-01-01 --to 2013-09-01 --out data/training
    """
    from spark_scoring.run import inputs
    from spark_scoring.run.widen import widen

    spec = Job.load(job)
    span = _span(start, end, "1d")
    given = WideTable.load(wide_path) if wide_path else None
    spark = _spark(spec)
    wide = given or inputs.one_wide(inputs.load_models(spark, spec))
    with show.working(f"widen {start}..{end}"):
        done = widen(spark, spec, wide, start=span.start, end=span.end, out=out, clock=_now())
    show.result(done, as_json=as_json, title="training set")


@cli.command("package")
@click.option("--wide", "wide_path", required=True, metavar="FILE", help="The wide.yaml that the model reads.")
@click.option("--model", required=True, metavar="SOURCE", help="A joblib or pickle file, or an MLflow model URI.")
@click.option("--sample", required=True, metavar="PATH", help="Wide rows as 'widen' wrote them (Delta).")
@click.option("--name", required=True, help="The registered model's name.")
@click.option("--registry", required=True, metavar="URI", help="The MLflow registry, as sqlite:///data/mlflow.db.")
@click.option("--alias", help="An alias to point to the new version, such as champion.")
@JSON
def package_command(
    wide_path: str, model: str, sample: str, name: str, registry: str, alias: str | None, as_json: bool
) -> None:
    """Register a fitted model together with its wide table, as one versioned package.

    Reading a pickle runs the code in it: name only files that you trust.

    \b
    Example:  spark-scoring package --wide wide.yaml --model model.joblib --sample data/training \\
                  --name flight_delay --registry sqlite:///data/mlflow.db --alias champion
    """
    from spark_scoring.models.flavor import package
    from spark_scoring.models.load import estimator
    from spark_scoring.run.session import session

    wide = WideTable.load(wide_path)
    fitted = estimator(model, registry=registry)
    spark = session("spark-scoring package")
    rows = spark.read.format("delta").load(sample).limit(2_000).toArrow()
    done = package(fitted, wide=wide, sample=rows, name=name, registry=registry, alias=alias)
    found = {"model": done.name, "version": done.version, "alias": alias, "digest": done.digest}
    show.result(found, as_json=as_json, title="packaged")


@cli.command("score")
@JOB
@_interval
@click.option("--cut", default="1d", show_default=True, metavar="DURATION", help="Event time of one commit.")
@click.option("--resume", is_flag=True, help="Go on with the newest unfinished run of this interval, and its plan.")
@click.option("--allow-empty", is_flag=True, help="Let an interval without rows empty what the output holds.")
@JSON
def score_command(job: str, start: str, end: str, cut: str, resume: bool, allow_empty: bool, as_json: bool) -> None:
    """Score JOB's batch rows of an interval of event time; running it again writes the same.

    \b
    Example:  spark-scoring score conf/flights/job.yaml --from 2013-09-01 --to 2013-10-01
    """
    from spark_scoring.run import batch

    spec = Job.load(job)
    span = _span(start, end, cut)
    spark = _spark(spec)
    with show.commits(f"score {start}..{end}", total=sum(1 for _ in batch.cuts(span))) as progress:
        done = batch.score(
            spark, spec, span=span, clock=_now(), allow_empty=allow_empty, resume=resume, progress=progress
        )
    found = {"run": done.run_id, "commits": len(done.plans), "in": done.counts.rows}
    found |= {"scored": done.counts.scored, "rejected": done.counts.rejected, "table": spec.output.batch}
    show.result(found, as_json=as_json, title="scored")


@cli.command("stream")
@JOB
@click.option("--once", is_flag=True, help="Work the backlog off and end, instead of waiting for more.")
def stream_command(job: str, once: bool) -> None:
    """Score JOB's topic into Delta, one commit a micro-batch. SIGTERM ends it after the micro-batch at work.

    \b
    Example:  spark-scoring stream conf/flights/job.yaml
    """
    from spark_scoring.run.stream import stream

    spec = Job.load(job)
    stop = threading.Event()
    spark = _spark(spec)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stream(spark, spec, once=once, now=_now, stop=stop, progress=show.commit)


@cli.command("parity")
@JOB
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the newest N commits.")
@click.option("--max-late", type=click.FloatRange(0, 1), default=1.0, metavar="SHARE",
              help="Fail if more rows than this differ on today's tables.")  # fmt: skip
@JSON
def parity_command(job: str, last: int | None, max_late: float, as_json: bool) -> None:
    """Score the stream's commits again in batch: every bit equal at the same versions, and how much came late.

    \b
    Example:  spark-scoring parity conf/flights/job.yaml
    """
    from spark_scoring.watch import parity

    spec = Job.load(job)
    spark = _spark(spec)
    commits = parity.commits_of(spark, spec, last=last)
    with show.working(f"parity of {len(commits)} commits"):
        exact = parity.exact(spark, spec, commits)
        late = parity.late(spark, spec, commits)
    show.result({"exact": exact, "late": late}, as_json=as_json, title="parity")
    if not exact.holds:
        raise errors.not_equal(different=exact.different, rows=exact.rows)
    if late.share > max_late:
        raise errors.too_late(share=late.share, most=max_late)


@cli.command("verify")
@JOB
@JSON
def verify_command(job: str, as_json: bool) -> None:
    """Check that every committed offset is in the output exactly once, against the broker and the table's log.

    \b
    Example:  spark-scoring verify conf/flights/job.yaml
    """
    from spark_scoring.watch import verify

    spec = Job.load(job)
    spark = _spark(spec)
    verdicts = {}
    if spec.output.stream is not None:
        verdicts["stream"] = verify.verify_stream(spark, spec)
    if spec.output.batch is not None and verify.has_commits(spark, spec.output.batch, job=spec):
        verdicts["batch"] = verify.verify_batch(spark, spec)
    show.result(verdicts, as_json=as_json, title="verify")
    if not all(verdict.holds for verdict in verdicts.values()):
        raise errors.does_not_hold()


@cli.command("status")
@JOB
@JSON
def status_command(job: str, as_json: bool) -> None:
    """Where JOB stands: commits, rows, reasons, models, and what waits in Kafka.

    \b
    Example:  spark-scoring status conf/flights/job.yaml
    """
    from spark_scoring.watch.status import status

    spec = Job.load(job)
    show.result(status(_spark(spec), spec), as_json=as_json, title=f"status of {spec.name}")


@cli.command("recover")
@JOB
def recover_command(job: str) -> None:
    """Let the next 'stream' of JOB begin anew where the output's own log ends. The old checkpoint is kept beside.

    \b
    Example:  spark-scoring recover conf/flights/job.yaml
    """
    from spark_scoring.run import generation, ledger

    spec = Job.load(job)
    if spec.output.stream is None:
        raise errors.missing_part(spec.path, part="rows.stream and output.stream", command="recover")
    spark = _spark(spec)
    committed = ledger.stream_commits(spark, spec.output.stream, job=spec.name)
    if not committed:
        raise errors.no_commits(spec.output.stream, job=spec.name)
    found = generation.recover(spark, spec, committed, now=_now().isoformat(timespec="seconds"))
    show.result(found, as_json=False, title="the next 'stream' begins here")


def _spark(job: Job) -> Any:
    # imported here: --help and a wrong file need no Spark
    from spark_scoring.run.session import session

    return session(f"spark-scoring {job.name}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 the run failed or a check did not hold, 2 wrong usage or configuration."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = ["--debug", *[word for word in given if word != "--debug"]] if debug else given
    try:
        cli.main(args=given, prog_name="spark-scoring", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(1)
    except SparkScoringError as error:
        _fail(str(error), debug=debug, code=error.exit_code)
    except Exception as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        _fail(f"{first} ({type(error).__name__}; --debug shows where)", debug=debug, code=1)


def _fail(message: str, *, debug: bool, code: int) -> None:
    if debug:
        traceback.print_exc()
    click.echo(f"error: {message}", err=True)
    sys.exit(code)
