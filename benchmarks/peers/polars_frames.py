"""polars in one process: `join_asof`, and rolling aggregates over the union of rows and history."""

from collections.abc import Mapping

import polars as pl
from work import Table, Window, Work


def answer(work: Work, *, paths: Mapping[Table, str]) -> pl.DataFrame:
    """The rows with the columns of all steps."""
    rows = pl.scan_parquet(f"{paths[work.rows]}/*.parquet")
    lazy = _windows(work, rows=rows, paths=paths) if work.windows else _as_of(work, rows=rows, paths=paths)
    return lazy.collect()


def _as_of(work: Work, *, rows: pl.LazyFrame, paths: Mapping[Table, str]) -> pl.LazyFrame:
    frame = rows.sort("t")
    for step in work.as_of:
        taken = [pl.col(column).alias(name) for column, name in zip(step.take, step.names(), strict=True)]
        table = pl.scan_parquet(f"{paths[step.table]}/*.parquet").select("k", "t", *taken).sort("t")
        frame = frame.join_asof(table, on="t", by="k", tolerance=f"{step.max_age_s}s")
    return frame


def _windows(work: Work, *, rows: pl.LazyFrame, paths: Mapping[Table, str]) -> pl.LazyFrame:
    table = pl.scan_parquet(f"{paths[work.window_table()]}/*.parquet").select("k", "t", "v3")
    both = pl.concat([rows, table], how="diagonal").sort("k", "t")
    # 1 for an item of the history, null for a row: the rolling sum of it is the count
    both = both.with_columns(item=pl.col("v3").is_not_null().cast(pl.Int64).replace(0, None))
    framed = both.with_columns(column for step in work.windows for column in _aggregates(step))
    return framed.filter(pl.col("id").is_not_null()).drop("v3", "item")


def _aggregates(step: Window) -> list[pl.Expr]:
    def rolled(name: str, *, column: str = "v3") -> pl.Expr:
        rolling = getattr(pl.col(column), f"rolling_{name}_by")
        return rolling("t", window_size=f"{step.last_s}s", closed="left").over("k")

    count = rolled("sum", column="item").fill_null(0)
    # polars gives 0 as the sum of nothing
    found = {"count": count, "sum": pl.when(count > 0).then(rolled("sum")), "stddev": rolled("std")}
    found |= {name: rolled(name) for name in ("mean", "min", "max")}
    return [found[function].alias(name) for function, name in zip(step.take, step.names(), strict=True)]
