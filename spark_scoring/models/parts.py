"""The parts of a package that MLflow knows nothing of: contract, wide table, golden sample, baseline."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spark_scoring.errors import sample_not_scored
from spark_scoring.models.blocks import Scored, score_blocks
from spark_scoring.models.cache import load_model_files
from spark_scoring.models.contract import Inputs, ModelSpec, Saved, task_of
from spark_scoring.models.laws import check_same_scores
from spark_scoring.models.libraries import versions_of
from spark_scoring.models.match import Match
from spark_scoring.models.package import BASELINE, GOLDEN, SPEC, WIDE
from spark_scoring.models.profile import profile
from spark_scoring.spec.wide import WideTable

GOLDEN_ROWS = 300


def spec_of(match: Match, *, inputs: Inputs, saved: Saved, prepare: str = "") -> ModelSpec:
    """The contract of a model that was saved."""
    return ModelSpec(
        runtime=match.runtime,
        file=saved.file,
        serialization=saved.serialization,
        features=inputs.features,
        task=task_of(saved.classes),
        classes=saved.classes,
        tolerance=saved.tolerance,
        libraries=versions_of(saved.libraries),
        why=match.why,
        output=saved.output,
        categories=saved.categories,
        prepare=prepare,
        prepared=inputs.model_features if prepare else (),
        nan_texts=saved.nan_texts,
    )


def write_parts(folder: Path, *, wide: WideTable, spec: ModelSpec, sample: pa.RecordBatch) -> None:
    """Write our files beside the model; the sample is scored by the model as it was read back from disk.

    Raises: ConfigError if less than half of the sample gets a score, or a score depends on the rows beside it.
    """
    score = partial(score_blocks, predict=load_model_files(folder, spec=spec), framed=spec.framed)
    scored = score(sample)
    check_same_scores(score, sample, scored)
    good = np.flatnonzero(~scored.failed)
    if 2 * len(good) < sample.num_rows:
        failed = sample.num_rows - len(good)
        raise sample_not_scored(sample.num_rows, failed=failed, detail=_commonest(scored))
    everything = _with_outputs(sample, scored)
    golden = everything.take(pa.array(good[np.unique(np.linspace(0, len(good) - 1, GOLDEN_ROWS).astype(int))]))
    (folder / SPEC).write_text(spec.dump(), "utf-8")
    (folder / WIDE).write_text(wide.dump(), "utf-8")
    (folder / BASELINE).write_text(json.dumps(profile(everything), indent=1) + "\n", "utf-8")
    pq.write_table(pa.Table.from_batches([golden]), folder / GOLDEN)


def _with_outputs(sample: pa.RecordBatch, scored: Scored) -> pa.RecordBatch:
    score = pa.array(scored.score, pa.float64(), mask=scored.failed)
    label = pa.array(scored.label, pa.string())
    return pa.RecordBatch.from_arrays([*sample.columns, score, label], names=[*sample.schema.names, "score", "label"])


def _commonest(scored: Scored) -> str:
    texts = [f"{reason} {detail or ''}".strip() for reason, detail in zip(scored.reason, scored.detail, strict=True)]
    failures = [text for text, reason in zip(texts, scored.reason, strict=True) if reason]
    return max(set(failures), key=failures.count)
