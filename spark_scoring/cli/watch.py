"""The commands that look at what a job wrote, and put it right: parity, verify, status, explain, recover, replay."""

import getpass
import socket

import click

from spark_scoring import errors, show
from spark_scoring.cli.options import JOB, JSON, check_order, moment, now, spark_for
from spark_scoring.spec.job import Job


@click.command()
@JOB
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the newest N commits.")
@click.option("--max-late", type=click.FloatRange(0, 1), default=1.0, show_default=True, metavar="SHARE",
              help="Fail if a larger share of the rows differs on today's tables.")  # fmt: skip
@JSON
def parity(job: str, last: int | None, max_late: float, as_json: bool) -> None:
    """Score the stream's commits again in batch: every bit equal at the same versions, and how much came late.

    \b
    Example:  spark-scoring parity conf/flights/job.yaml
    """
    from spark_scoring.watch import parity as watched

    spec = Job.load(job)
    with show.working(f"parity of {spec.name}"):
        spark = spark_for(spec)
        commits = watched.commits_of(spark, spec, last=last)
        exact = watched.exact(spark, spec, commits)
        late = watched.late(spark, spec, commits)
    show.result({"exact": exact, "late": late}, as_json=as_json, title="parity")
    if not exact.holds:
        raise errors.not_equal(different=exact.different, rows=exact.rows)
    if late.share > max_late:
        raise errors.too_late(share=late.share, most=max_late)


@click.command()
@JOB
@JSON
def verify(job: str, as_json: bool) -> None:
    """Check that every committed offset is in the output exactly once, against the broker and the table's log.

    \b
    Example:  spark-scoring verify conf/flights/job.yaml
    """
    from spark_scoring.watch.verify import verify as verified

    spec = Job.load(job)
    with show.working(f"verify {spec.name}"):
        verdicts = verified(spark_for(spec), spec)
    show.result(verdicts, as_json=as_json, title="verify")
    if not all(verdict.holds for verdict in verdicts.values()):
        raise errors.does_not_hold()


@click.command()
@JOB
@JSON
def status(job: str, as_json: bool) -> None:
    """Where JOB stands: commits, rows, reasons, rate, models, and what waits in Kafka.

    \b
    Example:  spark-scoring status conf/flights/job.yaml
    """
    from spark_scoring.watch.status import status as found

    spec = Job.load(job)
    with show.working(f"status of {spec.name}"):
        where = found(spark_for(spec), spec)
    show.result(where, as_json=as_json, title=f"status of {spec.name}")


@click.command()
@JOB
@click.argument("key", metavar="KEY")
@click.argument("time", metavar="TIME")
@click.option("--stream", is_flag=True, help="A row of the stream, as its output kept it, with what scored it then.")
@JSON
def explain(job: str, key: str, time: str, stream: bool, as_json: bool) -> None:
    """Why the row of JOB with this KEY and event TIME got its score: what each step met, what each model read and said.

    KEY: the key's value, or COLUMN=VALUE,COLUMN=VALUE for a key of several columns. TIME: ISO 8601, UTC. Batch rows are
    explained with the models and tables of now. Nothing is written.

    \b
    Example:  spark-scoring explain conf/flights/job.yaml UA-1545-EWR-20130901T0915Z 2013-09-01T09:15:00
    """
    from spark_scoring.cli.explained import parts
    from spark_scoring.watch.explain import Asked
    from spark_scoring.watch.explain import explain as explained

    asked = Asked(key=key, time=moment("TIME", time))
    spec = Job.load(job)
    with show.working(f"explain {key}"):
        found = explained(spark_for(spec), spec, asked, clock=now(), stream=stream)
    show.result(found, as_json=as_json, title=f"{key} at {time}: {found.outcome}", parts=parts(found))


@click.command()
@JOB
@click.option("--accept-new-topic", is_flag=True, help="Go on with a topic that was deleted and created again.")
@click.option(
    "--accept-loss", is_flag=True, help="Go on without records that the broker, or a fed table, no longer has."
)
@click.option("--score-again", is_flag=True, help="On the real-time lane: score again all that is not in the table.")
@click.option("--reason", metavar="TEXT", help="Why that is accepted; kept in the table's log with who did it.")
@JSON
def recover(
    job: str, accept_new_topic: bool, accept_loss: bool, score_again: bool, reason: str | None, as_json: bool
) -> None:
    """Let the next 'stream' of JOB begin anew where the output's own log ends. The old checkpoint is kept beside.

    A stream of JOB that is stopped or out of reach, and wakes up later, can commit nothing from then on.

    \b
    Example:  spark-scoring recover conf/flights/job.yaml
    """
    from spark_scoring.run import generation

    if (accept_new_topic or accept_loss) and not reason:
        raise errors.reason_needed()
    spec = Job.load(job)
    if spec.stream is None or spec.output.stream is None:
        raise errors.missing_part(spec.path, part="rows.stream and output.stream", command="recover")
    by, at = f"{getpass.getuser()}@{socket.gethostname()}", now().isoformat(timespec="seconds")
    accepted = {"new_topic": accept_new_topic, "loss": accept_loss, "again": score_again}
    consent = generation.Consent(by=by, at=at, reason=reason, **accepted)
    found = generation.recover(spark_for(spec), spec, consent=consent)
    show.result(found.pack(), as_json=as_json, title="the next 'stream' begins here")


@click.command()
@JOB
@click.option("--reason", required=True, metavar="CODE", help="The reason of the rows to score again, as SCHEMA.")
@click.option("--from", "start", metavar="INSTANT", help="Only rows rejected since then, UTC, as 2013-09-01.")
@click.option("--to", "end", metavar="INSTANT", help="Only rows rejected before then, UTC.")
@JSON
def replay(job: str, reason: str, start: str | None, end: str | None, as_json: bool) -> None:
    """Score rejected rows of JOB's stream again, after a fix; those that now pass replace their rejection.

    It uses the models and tables of now, in one commit. A stream of JOB may run meanwhile. Rejected rows of a batch
    are scored again by 'score' over their interval.

    \b
    Example:  spark-scoring replay conf/flights/job.yaml --reason LOOKUP_MISS:planes
    """
    from spark_scoring.run.replay import replay as replayed

    spec = Job.load(job)
    if start and end:
        check_order(start, end)
    within = (moment("--from", start) if start else None, moment("--to", end) if end else None)
    with show.working(f"replay {reason} of {spec.name}"):
        done = replayed(spark_for(spec), spec, reason=reason, within=within, clock=now())
    show.result(done, as_json=as_json, title="replayed")
