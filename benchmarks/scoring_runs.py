"""One run of one way to score: its cost or the sums of its scores, stopped at a limit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers.scoring import WAYS, Way
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from runs import Engine, Runs, SparkPeer
from scoring_work import Scoring, Shelf

CHILD = Path(__file__).with_name("scoring_child.py")
COLUMNAR = "spark.sql.execution.arrow.pythonUDF.columnarInput.enabled"
# it helps this one, and costs the others
BY_COLUMN = ("mapInArrow + numpy",)
LIGHT = "one process, native"
SUM = "sum({score} * (1 + id % 1009))"


def _peer(name: str, way: Way) -> SparkPeer:
    # the second parameter is the shelf here, where the wide table's peers have a reader
    return SparkPeer(build=way, settings={COLUMNAR: str(name in BY_COLUMN).lower()})  # type: ignore[arg-type]


SCORING_PEERS: Mapping[str, SparkPeer | Engine] = {
    **{name: _peer(name, way) for name, way in WAYS.items()},
    LIGHT: Engine(name="native", threads=1),
}


@dataclass(frozen=True, kw_only=True)
class ScoringRuns(Runs):
    """The same as for the wide table, with rows and models from a shelf."""

    shelf: Shelf

    def checksum(self, peer: SparkPeer | Engine, *, work: Scoring) -> Mapping[str, float]:
        """Rows and weighted sums of the scores of each model. Raises: TooLongError."""
        if isinstance(peer, Engine):
            return self._in_child(peer, work=work, check=True)
        with self._prepared(peer):
            frame = self._frame(peer, work=work)
            ours = "scores" in frame.columns
            names = {f"s{i}": f"scores[{i}].score" if ours else f"s{i}" for i in range(work.models)}
            names = names if ours or "s0" in frame.columns else {}
            sums = [F.expr(SUM.format(score=score)).alias(name) for name, score in names.items()]
            found: dict[str, float] = frame.agg(F.count("*").alias("rows"), *sums).first().asDict()
            return found

    def _frame(self, peer: SparkPeer, *, work: Scoring) -> DataFrame:
        way: Any = peer.build
        return way(self.spark, work, self.shelf)

    def _in_child(self, engine: Engine, *, work: Scoring, check: bool) -> Mapping[str, float]:
        order = {
            "kind": work.kind,
            "rows": str(self.shelf.rows(work.rows)),
            "columns": work.rows.features,
            "models": [str(self.shelf.model(work, name)) for name in work.model_names],
            "check": check,
        }
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        return self._run(CHILD, order=json.dumps(order).encode(), environ=threads)
