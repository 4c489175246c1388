"""DuckDB in one process: queries, as text."""

from collections.abc import Mapping

from work import AsOf, Table, Window, Work


def frames(work: Work, *, paths: Mapping[Table, str]) -> str:
    """The rows with the columns of all steps: as-of joins, or range frames over the union of rows and history."""
    return _windows(work, paths=paths) if work.windows else _as_of(work, paths=paths)


def join(work: Work, *, paths: Mapping[Table, str]) -> str:
    """Windows as a join in time buckets, grouped by row: the fastest for narrow windows."""
    rows, history = _source(work.rows, paths=paths), _source(work.window_table(), paths=paths)
    known = [f"coalesce({name}, 0) as {name}" if name.endswith("count") else name for name in work.added()]
    groups = " ".join(f"left join ({_group(step)}) using (id)" for step in work.windows)
    return (
        f"with r as (select *, epoch_us(t) as us from {rows}), h as (select k, v3, epoch_us(t) as us from {history}) "
        f"select id, k, t, hour, x, {', '.join(known)} from r {groups}"
    )


def _group(step: Window) -> str:
    last = step.last_s * 1_000_000
    aggregates = ", ".join(f"{name}(v3) as {new}" for name, new in zip(step.take, step.names(), strict=True))
    return (
        f"select id, {aggregates} from (select id, k, us, unnest([us // {last}, us // {last} - 1]) as b from r) as a "
        f"join (select *, us // {last} as b from h) as c on a.k = c.k and a.b = c.b and c.us >= a.us - {last} "
        "and c.us < a.us group by id"
    )


def _source(table: Table, *, paths: Mapping[Table, str]) -> str:
    return f"read_parquet('{paths[table]}/*.parquet')"


def _as_of(work: Work, *, paths: Mapping[Table, str]) -> str:
    taken = ", ".join(text for i, step in enumerate(work.as_of) for text in _young(step, i=i))
    joins = " ".join(
        f"asof left join {_source(step.table, paths=paths)} s{i} on r.k = s{i}.k and r.t >= s{i}.t"
        for i, step in enumerate(work.as_of)
    )
    return f"select r.*, {taken} from {_source(work.rows, paths=paths)} r {joins}"


def _young(step: AsOf, *, i: int) -> list[str]:
    young = f"epoch_us(r.t) - epoch_us(s{i}.t) <= {step.max_age_s * 1_000_000}"
    return [
        f"case when {young} then s{i}.{column} end as {name}"
        for column, name in zip(step.take, step.names(), strict=True)
    ]  # fmt: skip


def _windows(work: Work, *, paths: Mapping[Table, str]) -> str:
    rows, table = _source(work.rows, paths=paths), _source(work.window_table(), paths=paths)
    both = (
        f"select id, k, t, hour, x, null::double as v3, epoch_us(t) as us from {rows} union all by name "
        f"select k, t, v3, epoch_us(t) as us from {table}"
    )
    frames = ", ".join(f"w{i} as ({_frame(step)})" for i, step in enumerate(work.windows))
    aggregates = ", ".join(text for i, step in enumerate(work.windows) for text in _aggregates(step, i=i))
    framed = f"select id, k, t, hour, x, {aggregates} from ({both}) window {frames}"
    return f"select * from ({framed}) where id is not null"


def _frame(step: Window) -> str:
    last = step.last_s * 1_000_000
    return f"partition by k order by us range between {last} preceding and 1 preceding"


def _aggregates(step: Window, *, i: int) -> list[str]:
    # `v3` is never null in the history and always null in the rows
    return [f"{function}(v3) over w{i} as {name}" for function, name in zip(step.take, step.names(), strict=True)]


WAYS = {"frames": frames, "join": join}
