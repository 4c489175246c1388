"""The log of a command: our own facts, one a line, in UTC; with `--debug` everything."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

# py4j logs what a callback raises with its stack; the command says the same in one line
QUIET = {"py4j": logging.CRITICAL, "kafka": logging.CRITICAL, "mlflow": logging.ERROR, "alembic": logging.ERROR}


class _Lines(logging.Handler):
    """Log records as lines of standard error."""

    def __init__(self) -> None:
        super().__init__()
        formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


def _not_of_py4j(record: logging.LogRecord) -> bool:
    # of a call that Ctrl-C ended it logs the stack by the root logger
    return record.name != "root" or Path(record.pathname).parent.name != "py4j"


@contextmanager
def logged(*, debug: bool) -> Iterator[None]:
    """The log goes to standard error while a command runs."""
    ours, root, lines = logging.getLogger("spark_scoring"), logging.getLogger(), _Lines()
    named = [ours, *(logging.getLogger(name) for name in QUIET)]
    levels = [one.level for one in named]
    ours.setLevel(logging.INFO)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(logging.INFO if debug else level)
    if not debug:
        lines.addFilter(_not_of_py4j)
    root.addHandler(lines)
    try:
        yield
    finally:
        root.removeHandler(lines)
        for one, level in zip(named, levels, strict=True):
            one.setLevel(level)
