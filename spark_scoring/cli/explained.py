"""What `explain` found, for people: the row, a few lines for each step, the outcome, what each model read and said."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from spark_scoring.show import as_lines
from spark_scoring.spec.plan import iso
from spark_scoring.watch.explain import ExplainedModel, ExplainedStep, Explanation
from spark_scoring.wide.met import AsOfMatch, LookupMatch, Match


def parts(found: Explanation) -> Iterator[Table | str]:
    """The explanation as titles and the lines below them."""
    equal = {"equal rows": f"{found.equal:,}"} if found.equal > 1 else {}
    yield as_lines({"read from": found.origin, **equal, "row": _values(found.input)})
    for index, step in enumerate(found.steps):
        of = f"{', '.join(step.roles)}: " if step.roles else ""
        yield f"steps[{index}] {of}{step.step}"
        yield as_lines(_step(step))
    yield "outcome"
    yield as_lines({found.outcome: f"{found.reason}: {found.detail}" if found.reason else "no reason to reject it"})
    for model in found.models:
        yield f"model {model.role}"
        yield as_lines(_model(model))


def _step(step: ExplainedStep) -> Mapping[str, str]:
    if not step.read:
        return {"left out": step.why}
    lines = {}
    if step.table is not None:
        at = "not pinned" if step.version is None else f"version {step.version}"
        lines = {"table": f"{step.table}, {at}", str(step.strategy): step.why}
    met = {"met": _match(step.match)} if step.match else {}
    return {**lines, **met, "adds": _values(step.added)}


def _match(match: Match) -> str:
    if isinstance(match, LookupMatch):
        return match.found
    if isinstance(match, AsOfMatch):
        known = f", known at {iso(match.known_at)}" if match.known_at else ""
        if match.time is not None and match.age is not None:
            return f"{match.found}: {iso(match.time)}, {match.age} before the row{known}"
        return f"{match.found}: the last one is of {iso(match.newest)}" if match.newest else match.found
    return f"{match.rows:,} table rows in [{iso(match.start)}, {iso(match.end)})"


def _model(model: ExplainedModel) -> Mapping[str, str]:
    said = {"label": model.label} if model.label is not None else {}
    if model.reason:
        said = {model.reason: str(model.detail)}
    score = {} if model.score is None else {"score": f"{model.score!r}{', served' if model.served else ''}"}
    return {
        "package": f"{model.model} {model.version}",
        model.runtime: model.why or "-",
        "features": _values(model.features),
        **score,
        **said,
    }


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {'null' if value is None else value}" for name, value in values.items())
