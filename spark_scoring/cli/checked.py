"""What `check` found, for people: the models, a few lines for each step and actual, what nobody needs, the output."""

from collections.abc import Iterator, Mapping

from rich.table import Table

from spark_scoring.io.delta import Size
from spark_scoring.run.check import ActualReport, JobReport, StepReport
from spark_scoring.show import as_lines
from spark_scoring.wide.strategy import size_text


def parts(report: JobReport) -> Iterator[Table | str]:
    """The report as titles and the lines below them."""
    yield as_lines(_models(report))
    if report.lane is not None:
        yield "lane realtime"
        yield as_lines({"can run": "everything"} if not report.lane else {"cannot run": "\n".join(report.lane)})
    for index, step in enumerate(report.steps):
        yield f"steps[{index}] {step.step}"
        yield as_lines(_step(step))
    for actual in report.actuals:
        yield f"actuals.{actual.name}"
        yield as_lines(_actual(actual))
    yield "columns"
    unused = {"unused": f"{', '.join(report.unused)}: no model or rule needs them"} if report.unused else {}
    yield as_lines({"output": ", ".join(report.columns)} | unused)


def _models(report: JobReport) -> Mapping[str, str]:
    lines: dict[str, str] = {}
    for role, text in report.models:
        # there may be several shadows
        lines[f"model {role}"] = "\n".join(filter(None, [lines.get(f"model {role}"), text]))
    return lines


def _step(step: StepReport) -> Mapping[str, str]:
    if not step.read:
        return {"left out": f"{step.why}: {', '.join(step.adds)}"}
    lines = {step.strategy: step.why} if step.strategy else {}
    if step.size is not None:
        lines |= {"table": _table(step.version, step.size), "reads": f"{', '.join(step.reads)}: {step.reach}"}
    return {**lines, "adds": ", ".join(step.adds)}


def _actual(actual: ActualReport) -> Mapping[str, str]:
    keys = ", ".join(left if left == right else f"{left} = {right}" for left, right in actual.on)
    known = f"known at {actual.time}, " if actual.time else ""
    return {
        "table": f"{actual.place}, {_table(actual.version, actual.size)}",
        "joins": f"{actual.column} on {keys}, {known}final after {actual.matures_after}",
    }


def _table(version: int | None, size: Size) -> str:
    """The version and what is known of the size."""
    found = ["not pinned" if version is None else f"version {version}"]
    found += [f"{size.rows:,} rows"] if size.rows is not None else []
    found += [size_text(size.bytes)] if size.bytes is not None else []
    found += [f"{size.files:,} {'file' if size.files == 1 else 'files'}"] if size.files is not None else []
    return ", ".join(found)
