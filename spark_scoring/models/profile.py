"""The baseline: what features and scores looked like when the model was packaged."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
COMMONEST = 50


def profile(table: pa.Table | pa.RecordBatch) -> dict[str, dict[str, Any]]:
    """Per column: rows, nulls (NaN counts), and of the rest mean, deviation, quantiles or the commonest."""
    return {name: _profile(table.column(name)) for name in table.schema.names}


def _profile(column: pa.Array | pa.ChunkedArray) -> dict[str, Any]:
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
    found = {"count": len(column), "nulls": column.null_count}
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return {**found, **_numbers(column)}
    return {**found, **_texts(column)}


def _numbers(column: pa.Array | pa.ChunkedArray) -> dict[str, Any]:
    if column.null_count == len(column):
        return {"mean": None, "std": None, "quantiles": []}
    quantiles = pc.quantile(column, q=list(QUANTILES)).to_pylist()
    return {
        "mean": pc.mean(column).as_py(),
        "std": pc.stddev(column, ddof=1).as_py(),
        "quantiles": [list(pair) for pair in zip(QUANTILES, quantiles, strict=True)],
    }


def _texts(column: pa.Array | pa.ChunkedArray) -> dict[str, Any]:
    counts = column.drop_null().value_counts().to_pylist()
    ordered = sorted(((str(one["values"]), one["counts"]) for one in counts), key=lambda pair: (-pair[1], pair[0]))
    return {"distinct": len(counts), "commonest": [list(pair) for pair in ordered[:COMMONEST]]}
