"""The cells of the wide table: which work, which peers, which aims."""

from cells import OURS, Aim, Cell, Entry
from work import DAY_S, AsOf, Keys, Table, Window, Work

HOUR_S = 3600
YEAR_S = 365 * DAY_S
UNION, INTERVAL, LOOKUP = "union + last", "interval join", "lookup join"
TEMPO, FEAST = "tempo", "Feast's SQL"
DEFAULT_FRAME, SEGMENT_TREE = "range frame", "range frame, segment tree"
FRAMES = (DEFAULT_FRAME, SEGMENT_TREE)
DUCKDB = ("DuckDB, 1 thread", "DuckDB, 2 threads")
DUCKDB_JOIN = ("DuckDB join, 1 thread", "DuckDB join, 2 threads")
POLARS = ("polars, 1 thread", "polars, 2 threads")
ONE_PROCESS = (*DUCKDB, *POLARS)
SIX = ("count", "sum", "mean", "min", "max", "stddev")
# what noise between two runs of the same thing may add
NOISE = 1.1


def wide_cells(scale: float) -> tuple[Cell, ...]:
    """All cells; `scale` shrinks rows, tables and keys alike."""
    sized = _Sizes(scale)
    return (
        *_as_of_cells(sized),
        *_five_cells(sized),
        *_window_cells(sized),
        _many_windows_cell(sized),
        *_linear_cells(sized),
        *_micro_batch_cells(sized),
        *_half_key_cells(sized),
    )


class _Sizes:
    """Counts at a scale."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def rows(self, count: int, *, keys: Keys, from_s: int = 0, to_s: int = YEAR_S) -> Table:
        return Table(name="rows", count=self.count(count), keys=self.keys(keys), from_s=from_s, to_s=to_s)

    def table(self, name: str, count: int, *, keys: Keys, to_s: int = YEAR_S, delta: bool = False) -> Table:
        return Table(name=name, count=self.count(count), keys=self.keys(keys), to_s=to_s, delta=delta)

    def weather(self, name: str) -> Table:
        to_s = self.count(YEAR_S // HOUR_S) * HOUR_S
        return Table(name=name, count=3 * to_s // HOUR_S, keys=Keys(count=3), to_s=to_s, grid_s=HOUR_S)

    def keys(self, keys: Keys) -> Keys:
        return Keys(count=max(2, self.count(keys.count)), shape=keys.shape) if keys.count > 3 else keys

    def count(self, count: int) -> int:
        return max(1, int(count * self.scale))


def _entries(work: Work, *peers: str) -> tuple[Entry, ...]:
    return tuple(Entry(peer=peer, work=work, same_answer=peer != LOOKUP) for peer in (OURS, *peers))


def _as_of_cells(sized: _Sizes) -> tuple[Cell, ...]:
    weather = sized.weather("weather")
    small = Work(
        rows=sized.rows(2_000_000, keys=Keys(count=3), to_s=weather.to_s),
        as_of=(AsOf(table=weather, max_age_s=2 * HOUR_S),),
        bucket_s=HOUR_S,
    )
    aims = (
        Aim(text="at least 2.3 times less CPU than union + last and tempo", against=(UNION, TEMPO), at_least=2.3),
        Aim(text="within 1.5 times a plain lookup join", against=(LOOKUP,), at_least=1 / 1.5),
    )
    title = "As-of, small table: 2M rows, hourly weather of 3 stations (26k rows), max_age 2h"
    entries = _entries(small, UNION, INTERVAL, TEMPO, LOOKUP, *ONE_PROCESS)
    large = "As-of, large table: 2M rows, 1M table rows, 50k keys, max_age 30d"
    return (
        Cell(name="as_of_small", title=title, entries=entries, aims=aims),
        _large_cell(sized, name="as_of_large", title=large, keys=Keys(count=50_000), bucket_s=30 * DAY_S),
        _large_cell(
            sized,
            name="as_of_zipf",
            title=f"{large}, Zipf-skewed keys",
            keys=Keys(count=50_000, shape="zipf"),
            bucket_s=DAY_S,
        ),
    )


def _large_cell(sized: _Sizes, *, name: str, title: str, keys: Keys, bucket_s: int) -> Cell:
    work = Work(
        rows=sized.rows(2_000_000, keys=keys),
        as_of=(AsOf(table=sized.table("prices", 1_000_000, keys=keys), max_age_s=30 * DAY_S),),
        bucket_s=bucket_s,
        broadcast=False,
    )
    text = "no more CPU than the better of union + last and the interval join"
    aims = (
        Aim(text=text, against=(UNION, INTERVAL), at_least=1.0),
        Aim(text="at least 1.3 times less CPU than tempo", against=(TEMPO,), at_least=1.3),
        Aim(text="at least 3 times less CPU than Feast's SQL", against=(FEAST,), at_least=3.0),
    )
    return Cell(name=name, title=title, entries=_entries(work, UNION, INTERVAL, TEMPO, FEAST, *ONE_PROCESS), aims=aims)


def _five_cells(sized: _Sizes) -> tuple[Cell, ...]:
    small = [AsOf(table=sized.weather(f"weather_{i}"), max_age_s=2 * HOUR_S) for i in range(5)]
    keys = Keys(count=50_000)
    large = [AsOf(table=sized.table(f"prices_{i}", 200_000, keys=keys), max_age_s=30 * DAY_S) for i in range(5)]
    few, many = "26k rows and 3 keys", "200k rows and 50k keys"
    return (
        _five_cell(sized, name="five_small", title=few, steps=small, keys=Keys(count=3), millions=1, peers=(UNION,)),
        _five_cell(sized, name="five_small_many", title=few, steps=small, keys=Keys(count=3), millions=20),
        _five_cell(sized, name="five_large", title=many, steps=large, keys=keys, millions=1, peers=(UNION,)),
        _five_cell(sized, name="five_large_many", title=many, steps=large, keys=keys, millions=10),
    )


def _five_cell(
    sized: _Sizes, *, name: str, title: str, steps: list[AsOf], keys: Keys, millions: int, peers: tuple[str, ...] = ()
) -> Cell:
    rows = sized.rows(1_000_000 * millions, keys=keys, to_s=steps[0].table.to_s)
    one, five = Work(rows=rows, as_of=(steps[0],)), Work(rows=rows, as_of=tuple(steps))
    entries = (*_entries(five, *peers), Entry(peer=OURS, work=one, name="one table"))
    aims = (
        Aim(
            text="at most 1.6 times the cost of one", against=("one table",), at_least=1 / 1.6
        ),
    )  # fmt: skip
    return Cell(name=name, title=f"Five as-of tables of {title} each, {millions}M rows", entries=entries, aims=aims)


def _window_cells(sized: _Sizes) -> tuple[Cell, ...]:
    return tuple(
        _window_cell(sized, name=name, keys=keys, history=history, width=width)
        for name, keys, history in (("window", 20, 500_000), ("window_few", 4, 50_000))
        for width in (10, 100, 1_000, 10_000)
    )


def _window(table: Table, *, width: int, take: tuple[str, ...], label: str = "w") -> Window:
    """The window that holds about so many rows of the table."""
    return Window(table=table, last_s=width * table.to_s * table.keys.count // table.count, take=take, label=label)


def _window_cell(sized: _Sizes, *, name: str, keys: int, history: int, width: int) -> Cell:
    table = sized.table("events", history, keys=Keys(count=keys))
    rows = sized.rows(500_000, keys=Keys(count=keys))
    work = Work(rows=rows, windows=(_window(table, width=width, take=("count", "mean", "max")),))
    margin = 1.5 if history == 500_000 else 1.0
    better = "at least 1.5 times less CPU than" if margin > 1 else "no more CPU than"
    # beyond, the join's pairs of rows and items are too many
    duckdb = (*DUCKDB, *DUCKDB_JOIN) if width <= 1_000 else DUCKDB
    aims = (
        Aim(text=f"{better} the better of the default and the segment-tree frame", against=FRAMES, at_least=margin),
        Aim(text="within 3 times DuckDB's CPU", against=duckdb, at_least=1 / 3),
    )
    title = f"Window of about {width:,} rows, three aggregates: 500k rows, history of {history // 1000}k rows"
    return Cell(
        name=f"{name}_{width}", title=title, entries=_entries(work, *FRAMES, *duckdb, *POLARS), aims=aims
    )  # fmt: skip


def _many_windows_cell(sized: _Sizes) -> Cell:
    table, rows = sized.table("events", 500_000, keys=Keys(count=20)), sized.rows(500_000, keys=Keys(count=20))
    widths = (10, 30, 100, 300, 1_000)
    many = Work(rows=rows, windows=tuple(_window(table, width=w, take=SIX, label=f"w{w}") for w in widths))
    one = Work(rows=rows, windows=(_window(table, width=1_000, take=("mean",)),))
    entries = (
        *_entries(many, SEGMENT_TREE, *DUCKDB, *DUCKDB_JOIN, *POLARS),
        Entry(peer=OURS, work=one, name="one width, one aggregate"),
    )
    aims = (
        Aim(text="at most twice the cost of one", against=("one width, one aggregate",), at_least=1 / 2),
        Aim(text="within 3 times DuckDB's CPU", against=(*DUCKDB, *DUCKDB_JOIN), at_least=1 / 3),
    )
    title = "Five windows (10 to 1,000 rows) with six aggregates each: 500k rows, history of 500k rows"
    return Cell(name="windows_5x6", title=title, entries=entries, aims=aims)


def _linear_cells(sized: _Sizes) -> tuple[Cell, ...]:
    keys, few = Keys(count=5_000), Keys(count=20)
    prices, events = sized.table("prices", 200_000, keys=keys), sized.table("events", 200_000, keys=few)
    by_rows = {n: sized.rows(250_000 * n, keys=keys) for n in (1, 4, 16)}
    few_rows = {n: sized.rows(125_000 * n, keys=few) for n in (1, 4, 16)}
    long = {n: sized.table("prices", 125_000 * n, keys=keys, to_s=YEAR_S * n) for n in (1, 4, 16)}
    long_few = {n: sized.table("events", 60_000 * n, keys=few, to_s=YEAR_S * n) for n in (1, 4, 16)}
    take = ("count", "mean", "max")
    return (
        _linear("linear_rows_as_of", {n: _one_as_of(rows, prices) for n, rows in by_rows.items()}),
        _linear("linear_table_as_of", {n: _one_as_of(_over(sized, 500_000, long[n]), long[n]) for n in long}),
        _linear(
            "linear_rows_window",
            {n: Work(rows=few_rows[n], windows=(_window(events, width=100, take=take),)) for n in few_rows},
        ),
        _linear(
            "linear_table_window",
            {
                n: Work(rows=_over(sized, 250_000, long_few[n]), windows=(_window(long_few[n], width=100, take=take),))
                for n in long_few
            },
        ),
    )


def _over(sized: _Sizes, count: int, table: Table) -> Table:
    """Rows over the whole length and the keys of a table."""
    return Table(name="rows", count=sized.count(count), keys=table.keys, to_s=table.to_s)


def _one_as_of(rows: Table, table: Table) -> Work:
    return Work(rows=rows, as_of=(AsOf(table=table, max_age_s=30 * DAY_S),))


def _linear(name: str, works: dict[int, Work]) -> Cell:
    names = {n: f"{n}x" for n in works}
    entries = tuple(Entry(peer=OURS, work=works[n], name=names[n]) for n in sorted(works, reverse=True))
    aims = tuple(
        Aim(
            text=f"{many}x at most 4 times {few}x (and {NOISE - 1:.0%} of noise)",
            of=names[many],
            against=(names[few],),
            at_least=1 / 4 / NOISE,
        )
        for few, many in ((1, 4), (4, 16))
    )
    _, what, step = name.split("_", 2)
    title = f"{what.capitalize()} 1, 4 and 16 times as many: {step.replace('_', '-')}"
    return Cell(name=name, title=title, entries=entries, aims=aims)


def _micro_batch_cells(sized: _Sizes) -> tuple[Cell, ...]:
    return tuple(_micro_batch(sized, step=step, peer=peer) for step, peer in (("as_of", UNION), ("window", FRAMES[1])))


def _micro_batch(sized: _Sizes, *, step: str, peer: str) -> Cell:
    keys, works = Keys(count=2_000), {}
    for millions in (1, 10):
        table = sized.table("events", millions * 1_000_000, keys=keys, to_s=10 * millions * DAY_S, delta=True)
        rows = Table(name="rows", count=1_000, keys=table.keys, from_s=table.to_s - HOUR_S, to_s=table.to_s)
        as_of = (AsOf(table=table, max_age_s=2 * HOUR_S),) if step == "as_of" else ()
        windows = (Window(table=table, last_s=6 * HOUR_S),) if step == "window" else ()
        works[millions] = Work(rows=rows, as_of=as_of, windows=windows, cut=True)
    entries = (
        *_entries(works[10], peer),
        Entry(peer=OURS, work=works[1], name="history of 1M"),
        Entry(peer=peer, work=works[1], name=f"{peer}, history of 1M"),
    )
    text = f"over 10M as cheap as over 1M (and {NOISE - 1:.0%} of noise)"
    aims = (Aim(text=text, against=("history of 1M",), at_least=1 / NOISE),)
    title = f"Micro-batch of 1,000 rows over a Delta history of 10M rows: {step.replace('_', '-')}"
    return Cell(name=f"micro_batch_{step}", title=title, entries=entries, aims=aims)


def _half_key_cells(sized: _Sizes) -> tuple[Cell, ...]:
    keys = Keys(count=50_000, shape="half")
    rows, table = sized.rows(2_000_000, keys=keys), sized.table("events", 1_000_000, keys=keys)
    # half of the table's rows have one key: so many seconds hold 1,000 of them
    last_s = 1_000 * table.to_s * 2 // table.count
    as_of = Work(rows=rows, as_of=(AsOf(table=table, max_age_s=30 * DAY_S),))
    window = Work(rows=rows, windows=(Window(table=table, last_s=last_s),))
    aims = (Aim(text="runs in the memory of one executor, 3 GB"),)
    title = "One key holds half of 2M rows and of 1M table rows:"
    return (
        Cell(name="half_key_as_of", title=f"{title} as-of", entries=_entries(as_of, UNION), aims=aims),
        Cell(name="half_key_window", title=f"{title} window", entries=_entries(window, SEGMENT_TREE), aims=aims),
    )
