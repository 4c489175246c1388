"""What commands print: short tables for people, JSON for machines, progress while they wait."""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from spark_scoring.spec.plan import Plan, iso

PROGRESS = Console(stderr=True)
# what a reader of a pipe or a log file gets; a terminal says its own
WIDTH = 120
UNITS = {"rows_per_s": "rows/s", "share": "of the rows"}


class Sized(Protocol):
    """What counts rows."""

    @property
    def rows(self) -> int: ...


class Commit(Protocol):
    """A commit that may know its rows."""

    @property
    def counts(self) -> Sized | None: ...


def result(found: Any, *, as_json: bool, title: str, parts: Iterable[Table | str] | None = None) -> None:
    """Print a dataclass or mapping to standard output; `parts`: how people see it, if not as its fields."""
    if as_json:
        click.echo(json.dumps(as_plain(found)))
        return
    console = Console(highlight=False, markup=False)
    console = console if console.is_terminal else Console(highlight=False, markup=False, width=WIDTH)
    with console.capture() as capture:
        console.print(title, style="bold")
        for part in _parts(as_plain(found)) if parts is None else parts:
            console.print(part)
    # a table fills its lines with blanks
    click.echo("\n".join(line.rstrip() for line in capture.get().rstrip().splitlines()))


def as_plain(found: Any) -> Any:
    """Dataclasses and what they hold as dicts, lists, texts and numbers; properties come with their dataclass."""
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        fields = {f.name: as_plain(getattr(found, f.name)) for f in dataclasses.fields(found)}
        extra = {name: as_plain(getattr(found, name)) for name in _properties(type(found))}
        return {**fields, **extra}
    if isinstance(found, Mapping):
        return {str(name): as_plain(value) for name, value in found.items()}
    if isinstance(found, tuple | list):
        return [as_plain(value) for value in found]
    if isinstance(found, datetime):
        return iso(found)
    return found.total_seconds() if isinstance(found, timedelta) else found


def _properties(kind: type) -> list[str]:
    return [name for name, member in vars(kind).items() if isinstance(member, property)]


def _parts(plain: Mapping[str, Any], prefix: str = "") -> Iterator[Table]:
    """First the values that fit a line each, then a table for each list of things, then each part of the whole."""
    lines = {name: value for name, value in plain.items() if not isinstance(value, dict) and not _things(value)}
    if lines:
        yield as_lines({f"{prefix}{_words(name)}": _said(name, value) for name, value in lines.items()})
    for name, value in plain.items():
        if _things(value):
            yield _rows(value, title=f"{prefix}{_words(name)}")
        elif isinstance(value, dict):
            yield from _parts(value, f"{prefix}{_words(name)} ")


def _things(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def as_lines(lines: Mapping[str, str]) -> Table:
    """A line for each name and its text."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines.items():
        table.add_row(f"  {name}", text)
    return table


def _said(name: str, value: Any) -> str:
    text = _text(value)
    return f"{text} {UNITS[name]}" if name in UNITS and value else text


def _rows(things: Sequence[Mapping[str, Any]], *, title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name, value in things[0].items():
        numbers = isinstance(value, int | float) and not isinstance(value, bool)
        table.add_column(_words(name), justify="right" if numbers else "left", header_style="dim", overflow="fold")
    for thing in things:
        table.add_row(*[_text(value) for value in thing.values()])
    return table


def _words(name: str) -> str:
    return "rate" if name == "rows_per_s" else name.replace("_", " ")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        pairs = all(isinstance(item, list) and len(item) == 2 for item in value)
        items = [f"{item[0]} {_text(item[1])}" if pairs else _text(item) for item in value]
        return ", ".join(items) or "none"
    return "-" if value is None or value == "" else str(value)


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner while something of unknown length runs."""
    with PROGRESS.status(what):
        yield


@contextmanager
def commits(what: str, *, total: int) -> Iterator[Callable[[Commit], None]]:
    """A bar that counts commits and rows."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("commits"))
    rows_done = TextColumn("{task.fields[rows]:,} rows")
    with Progress(*columns, rows_done, TimeElapsedColumn(), console=PROGRESS) as bar:
        task = bar.add_task(what, total=total, rows=0)
        rows = 0

        def made(commit: Commit) -> None:
            nonlocal rows
            rows += commit.counts.rows if commit.counts else 0
            bar.update(task, advance=1, rows=rows)

        try:
            yield made
        except BaseException:
            # a bar that never moved is no news beside the error
            bar.update(task, visible=bar.tasks[0].completed > 0)
            raise


def commit(plan: Plan) -> None:
    """One line for one commit of a stream."""
    counts = plan.counts
    assert counts is not None
    lag = "".join(f", {name} {waiting:,} records behind" for name, waiting in plan.feed_lag.items() if waiting)
    click.echo(f"{plan.commit_id}: {counts.scored:,} scored, {counts.rejected:,} rejected{lag}", err=True)
