"""Which of its two forms a model is scored in: compiled if there is such a form and it agrees with the library."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from spark_scoring.errors import not_compiled
from spark_scoring.jvm.functions import is_remote
from spark_scoring.models.blocks import Scored, score_blocks
from spark_scoring.models.compiled.compile import Compiled, compiled
from spark_scoring.models.compiled.draft import NotCompiled
from spark_scoring.models.compiled.probes import probes
from spark_scoring.models.golden import check_golden, compare_golden, scored_in_spark, within
from spark_scoring.models.loaded import load_package
from spark_scoring.models.package import Package
from spark_scoring.models.udf import ScoredModel

KEPT = 16


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The compiled form that agreed with the library, and what it makes of the golden sample; or why there is none."""

    compiled: Compiled | None
    why: str
    golden: pa.Table | None = None


class Compared(NamedTuple):
    """How a compiled form differs from its library, empty if it does not, and what it gives."""

    difference: str
    found: pa.Table


# a model's form by digest: alias moves and reruns meet the same models again
_CHOSEN: "OrderedDict[str, Choice]" = OrderedDict()


def admitted(spark: SparkSession, package: Package, *, role: str, runtime: str | None = None) -> ScoredModel:
    """The model, checked: its golden sample gives the recorded scores where it will be scored.

    `runtime`: `arrow` or `compiled` where the job or a plan asks for one.

    Raises: RunError: another score or label, or `compiled` was asked for and cannot be had.
    """
    choice = Choice(compiled=None, why=f"runtime: {runtime} in the job or the plan") if runtime == "arrow" else None
    choice = choice or chosen(spark, package)
    if runtime == "compiled" and choice.compiled is None:
        raise not_compiled(package.uri, reason=choice.why)
    if choice.golden is None:
        check_golden(spark, package)
    else:
        compare_golden(package, golden=pq.read_table(package.golden), found=choice.golden)
    return ScoredModel(role=role, package=package, compiled=choice.compiled, why=choice.why)


def chosen(spark: SparkSession, package: Package) -> Choice:
    """The form of a model: compiled if it has such a form that agrees with the library."""
    if is_remote(spark):
        return Choice(compiled=None, why="a session of Spark Connect takes no functions")
    if package.digest not in _CHOSEN:
        _CHOSEN[package.digest] = _choose(spark, package)
    _CHOSEN.move_to_end(package.digest)
    while len(_CHOSEN) > KEPT:
        _CHOSEN.popitem(last=False)
    return _CHOSEN[package.digest]


def _choose(spark: SparkSession, package: Package) -> Choice:
    try:
        form = compiled(package)
    except NotCompiled as reason:
        return Choice(compiled=None, why=str(reason))
    golden = pq.read_table(package.golden)
    asked = probes(form, package.features, golden)
    # in one job: a stream waits for it
    rows = pa.Table.from_batches([*golden.select(asked.schema.names).cast(asked.schema).to_batches(), asked])
    difference, found = compared(spark, package, form, rows)
    if difference:
        return Choice(compiled=None, why=difference)
    why = f"equal to the library on {asked.num_rows:,} boundary rows"
    return Choice(compiled=form, why=why, golden=found.slice(0, len(golden)))


def compared(spark: SparkSession, package: Package, form: Compiled, rows: pa.Table) -> Compared:
    """The compiled form and the library on rows of the package's features."""
    (batch,) = rows.combine_chunks().to_batches()
    library = score_blocks(batch, predict=load_package(package).score, framed=package.spec.framed)
    found = scored_in_spark(spark, rows, ScoredModel(role="parity", package=package, compiled=form))
    return Compared(_difference(package, library, found), found)


def _difference(package: Package, library: Scored, found: pa.Table) -> str:
    reasons = [a != b for a, b in zip(library.reason.tolist(), found["reason"].to_pylist(), strict=True)]
    labels = [a != b for a, b in zip(library.label.tolist(), found["label"].to_pylist(), strict=True)]
    good = np.array([reason is None for reason in library.reason.tolist()], dtype=bool) & ~np.array(reasons)
    was, now = library.score[good], found["score"].cast(pa.float64()).to_numpy()[good]
    # a sum that comes near zero is as exact as its summands, not as itself
    typical = package.tolerance.relative * float(np.median(np.abs(was))) if len(was) else 0.0
    scores = ~(within(now, was, tolerance=package.tolerance) | (np.abs(now - was) <= typical))
    counts = {"score": int(scores.sum()), "label": sum(labels), "reason": sum(reasons)}
    said = " and ".join(f"another {name} on {count:,}" for name, count in counts.items() if count)
    return f"the compiled form gives {said} of {len(reasons):,} rows" if said else ""
