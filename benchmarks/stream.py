"""The stream against its peers: `python benchmarks/stream.py [--only CELL] [--seconds 45] [--warm 30]`.

Kafka -> wide table -> model -> Delta: how long a record takes from its creation to the commit that holds it.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
# contestants are processes of their own, and so are their workers
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])

import click  # noqa: E402 - the line above must come first
import numpy as np  # noqa: E402
from cells import OURS, Cell  # noqa: E402
from machine import hardware  # noqa: E402
from results import Section  # noqa: E402
from stream_runs import BEFORE, MOVES, Contestant, Latency, Runs, start  # noqa: E402
from stream_world import STEPS, TREES, World  # noqa: E402

from spark_scoring.testing import KafkaBroker  # noqa: E402

PACKAGES = ("pyspark", "delta-spark", "mlflow", "lightgbm", "pyarrow")
CACHE = HERE.parent / ".cache" / "bench"
JARS = HERE.parent / ".cache" / "jars" / "kafka"
EXPERT, WITH_MLFLOW = Contestant(name="expert"), Contestant(name="expert, spark_udf", udf="mlflow")
ALL = (Contestant(name=OURS), EXPERT, WITH_MLFLOW)
# more than anybody works off in the time
BACKLOG = 2_000_000
WHAT = {
    "lookups": "two lookups", "as_of": "+ as-of", "window": "+ window", TREES: "+ 300 trees",
}  # fmt: skip
CELLS = {
    "trees_500": "Two lookups, an as-of, a window and 300 trees: 500 records a second",
    "trees_2000": "Two lookups, an as-of, a window and 300 trees: 2,000 records a second",
    "steps": "Step by step: 500 records a second",
    "swap": "An alias moved to another model of 300 trees, and on to the next: 500 records a second",
    "backlog": "A backlog worked off: rows a second",
}


@click.command()
@click.option("--only", "names", multiple=True, type=click.Choice(list(CELLS)), help="This cell; can be repeated.")
@click.option("--seconds", default=45.0, help="How long each contestant is measured.")
@click.option("--warm", "warm_s", default=30.0, help="How long it runs before that.")
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE, help="For the tables and models.")
@click.option("--save/--no-save", default=True, help="Into RESULTS.md.")
def main(names: tuple[str, ...], seconds: float, warm_s: float, cache: Path, save: bool) -> None:
    """Time the stream against its peers."""
    section = Section(path=HERE / "RESULTS.md", name="stream", title="Stream")
    if save:
        section.begin(facts=_facts(seconds, warm_s))
    with tempfile.TemporaryDirectory(prefix="stream-") as folder, KafkaBroker.start(jars=JARS) as broker:
        runs = Runs(broker=broker, world=_world(cache / "stream"), folder=Path(folder))
        for name in names or CELLS:
            click.echo(f"{name}: {CELLS[name]}")
            lines = []
            for line in _cell(name, runs=runs, seconds=seconds, warm_s=warm_s):
                click.echo(line)
                lines.append(line)
            if save:
                cell = Cell(name=name, title=CELLS[name], entries=(), aims=())
                section.put(cell, text="\n".join([f"### {CELLS[name]}", "", *lines, ""]))


def _world(folder: Path) -> World:
    world, log = World(folder=folder), folder.with_suffix(".log")
    if not world.made:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _told({"who": "make", "world": str(folder)}, log=log)
    return world


def _told(order: dict[str, str], *, log: Path) -> None:
    """A process did what it was told, to its end."""
    if start(order, log=log).wait() != 0:
        raise click.ClickException(log.read_text("utf-8")[-2000:])


def _cell(name: str, *, runs: Runs, seconds: float, warm_s: float) -> Iterator[str]:
    if name == "backlog":
        yield from _backlog(runs, seconds=seconds)
        return
    if name == "swap":
        yield from _swap(runs, seconds=seconds, warm_s=warm_s)
        return
    yield "| contestant | steps | p50 s | p95 s | p99 s | commits | rows | CPUs in use |"
    yield "|---|---|---|---|---|---|---|---|"
    models = [TREES] if name.startswith(TREES) else STEPS
    contestants = ALL if name.startswith(TREES) else ALL[:2]
    rate = 2_000 if name == "trees_2000" else 500
    for model in models:
        for who in contestants:
            yield _line(who, model, runs.latency(who, model=model, rate=rate, warm_s=warm_s, seconds=seconds))


def _line(who: Contestant, model: str, found: Latency) -> str:
    numbers = (
        f"{found.p50:.2f} | {found.p95:.2f} | {found.p99:.2f} | {found.commits} | {found.rows:,} | {found.cpus:.2f}"
    )
    return f"| {who.name} | {WHAT[model]} | {numbers} |"


def _backlog(runs: Runs, *, seconds: float) -> Iterator[str]:
    topic = "backlog"
    runs.broker.create_topic(topic, 2)
    runs.produce(topic, rate=0, count=BACKLOG)
    yield "| contestant | rows a second | |"
    yield "|---|---|---|"
    ours = 0.0
    for who in ALL:
        found = runs.rate(who, model=TREES, topic=topic, limit_s=seconds)
        ours = ours or found
        yield f"| {who.name} | {found:,.0f} | {found / ours:.2f} |"


def _swap(runs: Runs, *, seconds: float, warm_s: float) -> Iterator[str]:
    with tempfile.NamedTemporaryFile() as log:
        _told({"who": "others", "count": str(MOVES), "world": str(runs.world.folder)}, log=Path(log.name))
    found = runs.swaps(model=TREES, rate=500, warm_s=warm_s, seconds=seconds)
    yield f"| from commit to commit, s | median of {BEFORE} before | first with the other model | |"
    yield "|---|---|---|---|"
    for i, one in enumerate(found):
        yield f"| move {i + 1} | {one.usual:.2f} | {one.first:.2f} | {one.first / one.usual:.2f} |"
    ratios = [one.first / one.usual for one in found]
    yield f"| median (least..greatest) | | | {np.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f}) |"


def _facts(seconds: float, warm_s: float) -> str:
    return (
        f"{hardware(PACKAGES)}. A broker, a producer and one contestant at a time, each a process of its own, "
        f"`local[2,4]`, trigger as fast as possible. Seconds from a record's creation to the Delta commit that holds "
        f"it, over {seconds:.0f} s after a warm-up of {warm_s:.0f} s. CPUs in use: all of them together."
    )


if __name__ == "__main__":
    main()
