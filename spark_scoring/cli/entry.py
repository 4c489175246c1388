"""The entry: which commands there are, how they end, and what they say when they fail."""

import signal
import sys
import traceback
from collections.abc import Sequence

import click

from spark_scoring import errors
from spark_scoring.cli import run, watch
from spark_scoring.cli.log import logged
from spark_scoring.cli.signals import Told, interruptible
from spark_scoring.errors import SparkScoringError


@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show stack traces and what the libraries log.")
@click.version_option(package_name="spark-scoring")
def cli(debug: bool) -> None:
    """Score with one definition of wide table, features and model: in batch and in streams, on Spark.

    Exit codes: 0 done, 1 the run failed or a check did not hold, 2 wrong usage or configuration.
    """


for command in (
    run.check, run.widen, run.package, run.export, run.score, run.stream, watch.parity, watch.verify, watch.status,
    watch.explain, watch.recover, watch.replay,
):  # fmt: skip
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 the run failed or a check did not hold, 2 wrong usage or configuration."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = ["--debug", *[word for word in given if word != "--debug"]] if debug else given
    with logged(debug=debug), interruptible(_cancel) as told:
        failure = _run(given, told)
    if failure is None:
        return
    if debug:
        traceback.print_exception(failure)
    click.echo(f"error: {_said(failure)}", err=True)
    sys.exit(_code(failure))


def _run(words: list[str], told: Told) -> Exception | None:
    try:
        cli.main(args=words, prog_name="spark-scoring", standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - the last stop: whatever it is, the user gets one line
        if told.by is None:
            return error
        ended = errors.ended("stopped by SIGTERM" if told.by == signal.SIGTERM else "interrupted")
        ended.__cause__ = error
        return ended
    return None


def _cancel() -> None:
    # where nothing has imported it, there is no session
    if "spark_scoring.run.session" in sys.modules:
        from spark_scoring.run.session import cancel_jobs

        cancel_jobs()


def _said(failure: Exception) -> str:
    if isinstance(failure, click.UsageError):
        command = failure.ctx.command_path if failure.ctx else "spark-scoring"
        return f"{_closed(failure.format_message())} See '{command} --help'."
    if isinstance(failure, click.ClickException):
        return failure.format_message()
    if isinstance(failure, SparkScoringError):
        return str(failure)
    # imported here: a wrong argument needs no Spark
    from spark_scoring.io.causes import cause_of

    return str(errors.unexpected(cause_of(failure)))


def _closed(sentence: str) -> str:
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def _code(failure: Exception) -> int:
    if isinstance(failure, click.ClickException):
        return 2
    return failure.exit_code if isinstance(failure, SparkScoringError) else 1
