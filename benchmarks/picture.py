"""A picture of the scoring section of RESULTS.md: `python benchmarks/picture.py [--results FILE] [--to FILE]`.

Rows per second per core are a cell's rows divided by the median CPU seconds of a contestant.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import click

HERE = Path(__file__).resolve().parent
CELLS = ("lightgbm_30", "xgboost_30", "logistic", "mixed", "forest", "hist")
COMPILED, ARROW, UDF, NATIVE = "spark_scoring", "spark_scoring, Arrow", "mlflow spark_udf", "one process, native"
EXPERT = ("pandas_udf, iterator", "predict_batch_udf", "arrow_udf + numpy", "mapInArrow + numpy")
THOUSANDS = {"k": 1_000, "M": 1_000_000}

WIDTH, MARGIN, GAP = 900, 24, 32
TOP, TITLE, BAR, STEP = 76, 48, 15, 22
LABEL, VALUE = 172, 58
PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP) // 2
PANEL_HEIGHT = TITLE + 5 * STEP + 20

STYLE = """
    text { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; font-size: 12.5px; fill: #3d4754; }
    .head { font-size: 17px; font-weight: 600; fill: #16202c; }
    .name { font-size: 13.5px; font-weight: 600; fill: #16202c; }
    .ours { font-weight: 600; fill: #16202c; }
    .end { text-anchor: end; }
    .paper { fill: #ffffff; }
    .compiled { fill: #1f6fb5; }
    .arrow { fill: #74b0e0; }
    .other { fill: #b4bdc9; }
    @media (prefers-color-scheme: dark) {
      text { fill: #b9c3cf; }
      .head, .name, .ours { fill: #eef3f8; }
      .paper { fill: #0f151c; }
      .compiled { fill: #4fa3e8; }
      .arrow { fill: #2f6f9f; }
      .other { fill: #56616f; }
    }
"""  # noqa: E501 - a style sheet reads better with one rule a line


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Rows per second per core of one way; None where the cell has no time of it."""

    label: str
    kind: str
    speed: float | None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The bars of one cell."""

    title: str
    bars: tuple[Bar, ...]


@click.command()
@click.option("--results", type=click.Path(path_type=Path, exists=True), default=HERE / "RESULTS.md")
@click.option("--to", type=click.Path(path_type=Path), default=HERE.parent / "docs" / "images" / "how-fast.svg")
def main(results: Path, to: Path) -> None:
    """Draw the cells that stand in the results."""
    panels = list(panels_of(results.read_text("utf-8")))
    if not panels:
        raise click.ClickException(f"{results} has no cell of scoring. Run benchmarks/scoring.py first.")
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(drawn(panels), "utf-8")
    click.echo(f"{to}: {len(panels)} of {len(CELLS)} cells")


def panels_of(text: str) -> Iterator[Panel]:
    """The panels of those cells that the results hold, in the order of `CELLS`."""
    for cell in CELLS:
        found = re.search(
            rf"<!-- scoring/{cell}: begin -->\n### ([^\n]*)\n(.*?)<!-- scoring/{cell}: end -->", text, re.S
        )
        if found:
            yield _panel(found[1], seconds=_cpu_seconds(found[2]))


def _cpu_seconds(table: str) -> dict[str, float]:
    """Contestant -> CPU seconds, of those that have a time."""
    lines = re.findall(r"^\| (.+?) \| [\d.]+ \| ([\d.]+) \|", table, re.M)
    return {label: float(seconds) for label, seconds in lines}


def _panel(title: str, *, seconds: Mapping[str, float]) -> Panel:
    what, _, size = title.rpartition(": ")
    count = re.fullmatch(r"(\d+)([kM]) rows", size)
    if count is None:
        raise click.ClickException(f"the title '{title}' does not end with a number of rows, as ': 1M rows'")
    rows = int(count[1]) * THOUSANDS[count[2]]
    speeds = {label: rows / cpu_s for label, cpu_s in seconds.items() if cpu_s > 0}
    best = max((label for label in EXPERT if label in speeds), key=lambda label: speeds[label], default=None)
    bars = [
        Bar(label="ours, compiled", kind="compiled", speed=speeds.get(COMPILED)),
        Bar(label="ours, Arrow", kind="arrow", speed=speeds.get(ARROW)),
        Bar(label=best or "a UDF by hand", kind="other", speed=speeds.get(best or "")),
        Bar(label=UDF, kind="other", speed=speeds.get(UDF)),
        Bar(label="the library alone", kind="other", speed=speeds.get(NATIVE)),
    ]
    return Panel(title=what, bars=tuple(bars))


def drawn(panels: list[Panel]) -> str:
    """The panels as SVG, two in a line; each has a scale of its own, from 0."""
    height = TOP + -(-len(panels) // 2) * PANEL_HEIGHT
    said = "Rows scored per second and core, by model and way of scoring"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="title desc">',
        f'  <title id="title">{said}</title>',
        f'  <desc id="desc">{escape(_told(panels))}</desc>',
        f"  <style>{STYLE}  </style>",
        f'  <rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>',
        f'  <text class="head" x="{MARGIN}" y="34">{said}</text>',
        f'  <text x="{MARGIN}" y="54">Longer is better. Each model has a scale of its own. '
        "Third bar: the fastest of the UDFs that one would write by hand.</text>",
    ]
    for i, panel in enumerate(panels):
        x, y = MARGIN + i % 2 * (PANEL_WIDTH + GAP), TOP + i // 2 * PANEL_HEIGHT
        parts += [f"  {line}" for line in _drawn_panel(panel, x=x, y=y)]
    return "\n".join([*parts, "</svg>", ""])


def _drawn_panel(panel: Panel, *, x: int, y: int) -> Iterator[str]:
    name, rest = re.split(r", (?=\d)", panel.title, maxsplit=1)
    yield f'<text class="name" x="{x}" y="{y + 18}">{escape(name)}</text>'
    yield f'<text x="{x}" y="{y + 35}">{escape(rest)}</text>'
    longest = max(bar.speed or 0.0 for bar in panel.bars) or 1.0
    room = PANEL_WIDTH - LABEL - VALUE
    for i, bar in enumerate(panel.bars):
        top = y + TITLE + i * STEP
        own = "theirs" if bar.kind == "other" else "ours"
        yield f'<text class="end {own}" x="{x + LABEL - 10}" y="{top + 12}">{escape(bar.label)}</text>'
        length = 0.0 if bar.speed is None else max(1.0, bar.speed / longest * room)
        if length:
            yield f'<rect class="{bar.kind}" x="{x + LABEL}" y="{top}" width="{length:.1f}" height="{BAR}" rx="2"/>'
        yield f'<text class="{own}" x="{x + LABEL + length + 6:.1f}" y="{top + 12}">{_short(bar)}</text>'


def _short(bar: Bar) -> str:
    if bar.speed is None:
        return "not measured"
    return f"{bar.speed / 1e6:.2f} M" if bar.speed >= 1e6 else f"{bar.speed / 1e3:.0f} k"


def _told(panels: list[Panel]) -> str:
    return " ".join(f"{p.title}: {', '.join(f'{bar.label} {_short(bar)}' for bar in p.bars)}." for p in panels)


if __name__ == "__main__":
    main()
