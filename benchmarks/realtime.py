"""The real-time lane: `python benchmarks/realtime.py [--only RATE] [--who NAME] [--seconds 60] [--warm 30]`.

How long a record takes from its creation to the score that somebody can read: on the lane, on our own micro-batch
stream, and through Real-Time Mode without a table or a model.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
# contestants are processes of their own, and so are their workers
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])

import click  # noqa: E402 - the line above must come first
from cells import Cell  # noqa: E402
from machine import hardware  # noqa: E402
from realtime_runs import Latency, Runs, start  # noqa: E402
from results import Section  # noqa: E402

from spark_scoring.testing import KafkaBroker  # noqa: E402

CACHE = HERE.parent / ".cache" / "bench" / "realtime"
JARS = HERE.parent / ".cache" / "jars" / "kafka"
PACKAGES = ("pyspark", "delta-spark", "lightgbm")
RATES = (250, 1000)
WHO = {
    "realtime": "spark_scoring, lane realtime",
    "plain": "Real-Time Mode, no table, no model",
    "micro-batch": "spark_scoring, micro-batches",
}
P50_MS, P95_MS = 15.0, 50.0


@click.command()
@click.option("--only", "rates", multiple=True, type=int, help="Records a second; can be repeated.")
@click.option("--who", "names", multiple=True, type=click.Choice(list(WHO)), help="This contestant alone.")
@click.option("--seconds", default=60.0, help="How long each contestant is measured.")
@click.option("--warm", "warm_s", default=45.0, help="How long it runs before that.")
@click.option("--batch", "batch_s", default=30, help="Seconds of a batch of Real-Time Mode.")
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE, help="For the tables and models.")
@click.option("--save/--no-save", default=True, help="Into RESULTS.md.")
def main(
    rates: tuple[int, ...], names: tuple[str, ...], seconds: float, warm_s: float, batch_s: int, cache: Path, save: bool
) -> None:
    """Time the real-time lane."""
    section = Section(path=HERE / "RESULTS.md", name="realtime", title="Real-time lane")
    if save:
        section.begin(facts=_facts(seconds, warm_s, batch_s))
    with tempfile.TemporaryDirectory(prefix="realtime-") as folder, KafkaBroker.start(jars=JARS) as broker:
        runs = Runs(broker=broker, world=_world(cache), folder=Path(folder), batch_s=batch_s)
        for rate in rates or RATES:
            title = f"{rate:,} records a second"
            click.echo(title)
            lines = []
            for line in _lines(runs, names or tuple(WHO), rate=rate, warm_s=warm_s, seconds=seconds):
                click.echo(line)
                lines.append(line)
            if save:
                cell = Cell(name=str(rate), title=title, entries=(), aims=())
                section.put(cell, text="\n".join([f"### {title}", "", *lines, ""]))


def _world(folder: Path) -> Path:
    if not (folder / "_SUCCESS").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        log = folder.with_suffix(".log")
        if start({"who": "make", "world": str(folder)}, log=log).wait() != 0:
            raise click.ClickException(log.read_text("utf-8")[-2000:])
    return folder


def _lines(runs: Runs, names: tuple[str, ...], *, rate: int, warm_s: float, seconds: float) -> Iterator[str]:
    yield "| contestant | p50 ms | p95 ms | p99 ms | outside ends of batches: p50 | p95 | p99 | greatest | rows |"
    yield "|---|---|---|---|---|---|---|---|---|"
    met = ""
    for name in names:
        found = runs.latency(name, rate=rate, warm_s=warm_s, seconds=seconds)
        yield f"| {WHO[name]} | {_shown(found.all_ms)} | {_shown(found.outside_ms)} | {_line(found)} |"
        met = _met(found) if name == "realtime" else met
    if met:
        yield from ("", met)


def _shown(values: tuple[float, float, float]) -> str:
    return " | ".join(f"{value:.1f}" for value in values)


def _line(found: Latency) -> str:
    return f"{found.greatest_ms:,.0f} | {found.rows:,}"


def _met(found: Latency) -> str:
    p50, p95, _ = found.outside_ms
    met = "met" if p50 <= P50_MS and p95 <= P95_MS else "**missed**"
    return f"- p50 of {P50_MS:.0f} ms and p95 of {P95_MS:.0f} ms outside the ends of batches: {met}"


def _facts(seconds: float, warm_s: float, batch_s: int) -> str:
    return (
        f"{hardware(PACKAGES)}. Two lookups, an as-of, a window over a table and 300 trees of 31 leaves. "
        "A broker, a producer, a reader and one contestant at a time share the cores; `local[4,4]`, two "
        f"partitions, batches of Real-Time Mode of {batch_s} s. Milliseconds from a record's creation until its score "
        "is read from the topic of scores, or for micro-batches until the commit is there, over "
        f"{seconds:.0f} s after a warm-up of {warm_s:.0f} s. The lane lands its scores at the same time, every 5 s. "
        "Near the end of a batch: made from 1 s before to 3 s after it."
    )


if __name__ == "__main__":
    main()
