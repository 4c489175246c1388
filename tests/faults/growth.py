"""How long a micro-batch takes after many of them; `SPARK_SCORING_MICRO_BATCHES=2000 ./test.sh -s` with this file.

Prints the median seconds from commit to commit of the first hundred and of the last, and asserts no time.
"""

import os
from itertools import pairwise
from pathlib import Path
from statistics import median

from pyspark.sql import SparkSession

from spark_scoring.run import ledger
from spark_scoring.testing import KafkaBroker
from tests.faults import oracle
from tests.faults.arena import make_arena

MICRO_BATCHES = int(os.environ.get("SPARK_SCORING_MICRO_BATCHES", "2000"))
ROWS = 5
PART = 100


def test_growth(spark: SparkSession, tmp_path: Path, broker: KafkaBroker) -> None:
    arena = make_arena(spark, tmp_path, broker, partitions=1, rows_a_batch=ROWS)
    # the same two days again and again: the rows of a micro-batch, not their number, decide
    for _ in range(MICRO_BATCHES * ROWS // 60 + 1):
        arena.send(0, 60)
    arena.run()
    commits = ledger.scored_commits(spark, arena.output, job=arena.job.name)
    at = [commit.entry.committed_at for commit in commits]
    took_s = [(after - before).total_seconds() for before, after in pairwise(at)]
    part = min(PART, len(took_s) // 3)
    first, last = median(took_s[5 : part + 5]), median(took_s[-part:])
    files = len(oracle._files(Path(arena.output)))
    took = f"{first:.2f} s at first, {last:.2f} s at last, {last / first:.2f} times"
    print(f"{len(at)} micro-batches: {took}; {files} files")  # noqa: T201 - the result
    assert not arena.damage()
