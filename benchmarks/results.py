"""The results as Markdown: one section for each benchmark, one block for each cell, replaced in place."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click
from cells import Aim, Cell
from contest import Result, hold
from measure import Spread, ratio, spread
from runs import Runs

TITLE = "# Results of the benchmarks\n\nWritten by the benchmarks themselves; each replaces its own part.\n"


def block(result: Result) -> str:
    """A cell's contestants, and each aim with whether it was met."""
    cell = result.cell
    head = ["| contestant | wall s | CPU s | wall ratio | CPU ratio | |", "|---|---|---|---|---|---|"]
    lines = [_line(entry.label, result=result) for entry in cell.entries]
    aims = [f"- {_verdict(aim, result=result)}" for aim in cell.aims]
    return "\n".join([f"### {cell.title}", "", *head, *lines, "", *aims, ""])


def _line(label: str, *, result: Result) -> str:
    base = result.cell.entries[0].label
    if label in result.faults:
        return f"| {label} | | | | | {result.faults[label]} |"
    if label in result.stopped:
        cost, more = result.stopped[label], _at_least(label, result=result)
        return f"| {label} | > {cost.wall_s:.0f} | > {cost.cpu_s:.0f} | | {more} | stopped there |"
    costs = result.costs[label]
    wall, cpu = (spread([getattr(cost, field) for cost in costs]).median for field in ("wall_s", "cpu_s"))
    ratios = ["1", "1"] if label == base else ["", ""]
    if label != base and base in result.costs:
        ratios = [_shown(ratio(costs, result.costs[base], field=field)) for field in ("wall_s", "cpu_s")]
    return f"| {label} | {wall:.2f} | {cpu:.2f} | {' | '.join(ratios)} | {result.remarks.get(label, '')} |"


def _shown(found: Spread) -> str:
    return f"{found.median:.2f} ({found.least:.2f}..{found.greatest:.2f})"


def _at_least(label: str, *, result: Result) -> str:
    base = result.costs.get(result.cell.entries[0].label)
    return f"> {result.stopped[label].cpu_s / max(cost.cpu_s for cost in base):.1f}" if base else ""


def _verdict(aim: Aim, *, result: Result) -> str:
    ours = result.costs.get(aim.of)
    if not ours:
        return f"{aim.text}: **missed**, {aim.of} has no time"
    if not aim.against:
        return f"{aim.text}: met"
    found = {label: _ratio(label, aim=aim, result=result) for label in aim.against}
    known = {label: value for label, value in found.items() if value is not None}
    if not known:
        return f"{aim.text}: not comparable, none of {', '.join(aim.against)} has a time"
    nearest = min(known, key=lambda label: known[label].median)
    shown = f"{nearest} takes {_shown(known[nearest])} times as much"
    met = "met" if known[nearest].median >= aim.at_least else "**missed**"
    return f"{aim.text}: {met} ({shown}; needed {aim.at_least:.2f})"


def _ratio(label: str, *, aim: Aim, result: Result) -> Spread | None:
    ours = result.costs[aim.of]
    if label in result.stopped:
        return ratio([result.stopped[label]] * len(ours), ours, field=aim.field)
    return ratio(result.costs[label], ours, field=aim.field) if label in result.costs else None


def report(cells: Iterable[Cell], *, runs: Runs, rounds: int, section: "Section | None") -> None:
    """Hold the cells one after the other, print each and, with a section, put it there."""
    for cell in cells:
        click.echo(f"{cell.name}: {cell.title}")
        text = block(hold(cell, runs=runs, rounds=rounds, say=click.echo))
        click.echo(f"\n{text}")
        # after each cell: what was measured stays when a later one ends the JVM
        if section:
            section.put(cell, text=text)


@dataclass(frozen=True, kw_only=True)
class Section:
    """One benchmark's part of the results file."""

    path: Path
    name: str
    title: str

    def begin(self, *, facts: str) -> None:
        """The section's head, with what the numbers were measured on."""
        text = self.path.read_text("utf-8") if self.path.exists() else TITLE
        if _mark(self.name) not in text:
            text = f"{text.rstrip()}\n\n{_mark(self.name)}\n{_end(self.name)}\n"
        head = f"{_mark(self._head)}\n## {self.title}\n\n{facts}\n{_end(self._head)}"
        self.path.write_text(self._with(text, name=self._head, block=head), "utf-8")

    def put(self, cell: Cell, *, text: str) -> None:
        """The cell's block, in the place of an older one or at the section's end."""
        name = f"{self.name}/{cell.name}"
        new = f"{_mark(name)}\n{text}{_end(name)}"
        self.path.write_text(self._with(self.path.read_text("utf-8"), name=name, block=new), "utf-8")

    @property
    def _head(self) -> str:
        return f"{self.name}/head"

    def _with(self, text: str, *, name: str, block: str) -> str:
        if _mark(name) in text:
            before, _, rest = text.partition(_mark(name))
            return before + block + rest.partition(_end(name))[2]
        return text.replace(_end(self.name), f"{block}\n\n{_end(self.name)}")


def _mark(name: str) -> str:
    return f"<!-- {name}: begin -->"


def _end(name: str) -> str:
    return f"<!-- {name}: end -->"
