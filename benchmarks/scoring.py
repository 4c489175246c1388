"""Scoring against its peers: `python benchmarks/scoring.py [--only CELL] [--scale 1.0] [--repeat 3]`."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
# the peers' functions are imported by the workers too
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])

import click  # noqa: E402 - the line above must come first
from data import Store  # noqa: E402
from machine import HEAP, facts  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402
from results import Section, report  # noqa: E402
from scoring_cells import scoring_cells  # noqa: E402
from scoring_runs import SCORING_PEERS, ScoringRuns  # noqa: E402
from scoring_work import Shelf  # noqa: E402

from spark_scoring.run.session import session  # noqa: E402

PACKAGES = ("pyspark", "delta-spark", "mlflow", "lightgbm", "scikit-learn", "numpy", "pyarrow")
NAMES = tuple(cell.name for cell in scoring_cells(1.0))
CACHE = HERE.parent / ".cache" / "bench"


@click.command()
@click.option("--only", "names", multiple=True, type=click.Choice(NAMES), help="This cell; can be repeated.")
@click.option("--scale", default=1.0, help="Rows as a share of the full size.")
@click.option("--repeat", "rounds", default=3, help="Timed rounds.")
@click.option("--limit", "limit_s", default=150.0, help="Seconds after which a run is stopped.")
@click.option("--cache", type=click.Path(path_type=Path), default=CACHE, help="For the data and models.")
@click.option("--save/--no-save", default=None, help="Into RESULTS.md; the default is to save at full size only.")
def main(names: tuple[str, ...], scale: float, rounds: int, limit_s: float, cache: Path, save: bool | None) -> None:
    """Time scoring against its peers and print the ratios."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # MLflow's and scikit-learn's advice
    runs = ScoringRuns(
        spark=_session(), store=Store(folder=cache), shelf=Shelf(folder=cache), limit_s=limit_s, peers=SCORING_PEERS
    )
    section = Section(path=HERE / "RESULTS.md", name="scoring", title="Scoring")
    saved = scale == 1.0 if save is None else save
    if saved:
        head = facts(runs.spark, packages=PACKAGES, rounds=rounds)
        section.begin(facts=head.replace("Parquet in", "Delta in (Parquet for the one process)"))
    cells = [cell for cell in scoring_cells(scale) if not names or cell.name in names]
    report(cells, runs=runs, rounds=rounds, section=section if saved else None)


def _session() -> SparkSession:
    os.environ["SPARK_MASTER"] = "local[2,4]"
    os.environ["SPARK_SUBMIT_OPTS"] = HEAP
    spark = session("benchmark of scoring")
    spark.sparkContext.setLogLevel("ERROR")
    return spark


if __name__ == "__main__":
    main()
