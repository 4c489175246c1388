"""The wide table against its peers: `python benchmarks/wide.py [--only CELL] [--scale 1.0] [--repeat 3]`."""

import os
from pathlib import Path

import click
from data import Store
from machine import HEAP, facts
from pyspark.sql import SparkSession
from results import Section, report
from runs import Runs
from wide_cells import wide_cells

from spark_scoring.run.session import session

HOME = Path(__file__).resolve().parents[1]
PACKAGES = ("pyspark", "delta-spark", "dbl-tempo", "duckdb", "polars")
NAMES = tuple(cell.name for cell in wide_cells(1.0))


@click.command()
@click.option("--only", "names", multiple=True, type=click.Choice(NAMES), help="This cell; can be repeated.")
@click.option("--scale", default=1.0, help="Rows, tables and keys as a share of the full size.")
@click.option("--repeat", "rounds", default=3, help="Timed rounds.")
@click.option("--limit", "limit_s", default=150.0, help="Seconds after which a run is stopped.")
@click.option("--cache", type=click.Path(path_type=Path), default=HOME / ".cache" / "bench", help="For the data.")
@click.option("--save/--no-save", default=None, help="Into RESULTS.md; the default is to save at full size only.")
def main(names: tuple[str, ...], scale: float, rounds: int, limit_s: float, cache: Path, save: bool | None) -> None:
    """Time the wide table against its peers and print the ratios."""
    runs = Runs(spark=_session(), store=Store(folder=cache), limit_s=limit_s)
    section = Section(path=Path(__file__).with_name("RESULTS.md"), name="wide", title="Wide table")
    saved = scale == 1.0 if save is None else save
    if saved:
        section.begin(facts=facts(runs.spark, packages=PACKAGES, rounds=rounds))
    cells = [cell for cell in wide_cells(scale) if not names or cell.name in names]
    report(cells, runs=runs, rounds=rounds, section=section if saved else None)


def _session() -> SparkSession:
    os.environ["SPARK_MASTER"] = "local[2]"
    os.environ["SPARK_SUBMIT_OPTS"] = HEAP
    spark = session("benchmark of the wide table")
    spark.conf.set("spark.sql.shuffle.partitions", "4")
    spark.sparkContext.setLogLevel("ERROR")
    return spark


if __name__ == "__main__":
    main()
