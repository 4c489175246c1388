"""What commands print: a short table for people, JSON for machines, progress while they wait."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from spark_scoring.spec.plan import Plan, iso

PROGRESS = Console(stderr=True)


def result(found: Any, *, as_json: bool, title: str) -> None:
    """Print a dataclass or mapping to standard output."""
    plain = as_plain(found)
    if as_json:
        click.echo(json.dumps(plain))
        return
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(plain):
        table.add_row(name, value)
    Console().print(table)


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


def _lines(plain: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in plain.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, dict):
            yield from _lines(value, prefix=f"{label}: ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                yield (
                    label,
                    ", ".join(f"{key} {_text(part)}" for key, part in item.items() if part not in ("", None, [])),
                )
        else:
            yield label, _text(value)


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
    return "-" if value is None else str(value)


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner while something of unknown length runs."""
    with PROGRESS.status(what):
        yield


@contextmanager
def commits(what: str, *, total: int) -> Iterator[Callable[[Plan], None]]:
    """A bar that counts commits and rows."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[rows]:,} rows"), console=PROGRESS) as bar:
        task = bar.add_task(what, total=total, rows=0)
        rows = 0

        def made(plan: Plan) -> None:
            nonlocal rows
            rows += plan.counts.rows if plan.counts else 0
            bar.update(task, advance=1, rows=rows)

        yield made


def commit(plan: Plan) -> None:
    """One line for one commit of a stream."""
    counts = plan.counts
    assert counts is not None
    lag = "".join(f", {name} {waiting} behind" for name, waiting in plan.feed_lag.items() if waiting)
    click.echo(f"{plan.commit_id}: {counts.scored:,} scored, {counts.rejected:,} rejected{lag}", err=True)
