"""What a benchmark computes: rows, tables, as-of steps and windows, as data that every peer reads."""

from dataclasses import dataclass

DAY_S = 86_400
START_S = 1_356_998_400  # 2013-01-01


@dataclass(frozen=True, kw_only=True)
class Keys:
    """How many keys there are and how the rows spread over them: `even`, `zipf` or `half` (one key holds half)."""

    count: int
    shape: str = "even"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Generated data: `t` lies in [START_S + from_s, START_S + to_s), in whole seconds, and rises through the file.

    `grid_s`: one row for each key and so many seconds, few of them missing. `delta`: written as a Delta table whose
    files hold one day, or a range of keys of one, each.
    """

    name: str
    count: int
    keys: Keys
    to_s: int
    from_s: int = 0
    grid_s: int | None = None
    delta: bool = False


@dataclass(frozen=True, kw_only=True)
class AsOf:
    """The columns `take` of the last table row that is not older than `max_age_s`."""

    table: Table
    max_age_s: int
    take: tuple[str, ...] = ("v1", "v2")

    def names(self) -> tuple[str, ...]:
        """The columns that the step adds."""
        return tuple(f"{self.table.name}_{column}" for column in self.take)


@dataclass(frozen=True, kw_only=True)
class Window:
    """Aggregates (`count`, `sum`, `mean`, `min`, `max`, `stddev`) of `v3` over [t - last_s, t)."""

    table: Table
    last_s: int
    take: tuple[str, ...] = ("count", "mean", "max")
    label: str = "w"

    def names(self) -> tuple[str, ...]:
        """The columns that the step adds."""
        return tuple(f"{self.label}_{function}" for function in self.take)


@dataclass(frozen=True, kw_only=True)
class Work:
    """Rows and the steps over them; `cut`: the rows are known to lie in [from_s, to_s) of their table.

    `bucket_s`: the time bucket that an expert would choose for the interval join of these tables, and whether the
    intervals are small enough to broadcast.
    """

    rows: Table
    as_of: tuple[AsOf, ...] = ()
    windows: tuple[Window, ...] = ()
    cut: bool = False
    bucket_s: int = DAY_S
    broadcast: bool = True

    @property
    def exact(self) -> bool:
        """Whether answers are compared to the last bit: as-of are, float aggregates in the ninth digit."""
        return not self.windows

    def added(self) -> tuple[str, ...]:
        """The columns that the steps add, in their order."""
        return tuple(name for step in self.steps() for name in step.names())

    def tables(self) -> tuple[Table, ...]:
        """The tables of the steps, each once."""
        return tuple(dict.fromkeys(step.table for step in self.steps()))

    def steps(self) -> tuple[AsOf | Window, ...]:
        """As-of steps, then windows."""
        return (*self.as_of, *self.windows)

    def window_table(self) -> Table:
        """The one table of all windows."""
        (table,) = {window.table for window in self.windows}
        return table
