"""What is made of pinned tables once and used by every commit until a table has another version, or is another."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, SparkSession

from spark_scoring.io import sources
from spark_scoring.io.sources import Pin
from spark_scoring.jvm.kept import KeptRows
from spark_scoring.jvm.planned import Planned
from spark_scoring.run.inputs import Tables
from spark_scoring.run.reach import needs_reach
from spark_scoring.spec.job import Job
from spark_scoring.spec.wide import WideTable
from spark_scoring.wide.strategy import broadcast_limit


@dataclass(frozen=True, kw_only=True)
class _Frame:
    pinned: Pin
    frame: DataFrame


@dataclass(frozen=True, kw_only=True)
class _Index:
    pins: tuple[Pin, ...]
    rows: KeptRows


@dataclass(kw_only=True)
class Prepared:
    """Frames and indexes of tables by version. An index is made by the first commit that needs it.

    Fed tables change with every micro-batch: their indexes are made anew, of what the rows can reach.
    """

    spark: SparkSession
    fed: frozenset[str] = frozenset()
    _frames: dict[str, _Frame] = field(default_factory=dict)
    _indexes: dict[str, _Index] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _needs_reach: tuple[object, bool] | None = None
    _planned: dict[str, tuple[object, Planned]] = field(default_factory=dict)

    @staticmethod
    def of_stream(spark: SparkSession, job: Job) -> "Prepared":
        """For a stream of the job, which feeds some of its tables."""
        return Prepared(spark=spark, fed=frozenset(table.name.lower() for table in job.tables if table.feed))

    def at(self, tables: Tables) -> "AtVersions":
        """The tables at their pinned versions, for a new plan. Indexes that the one before did not use are given up."""
        # what was remembered may ask for one of them
        self._planned.clear()
        for what in self._indexes.keys() - self._used:
            self._indexes.pop(what).rows.give_up()
        self._used.clear()
        frames = {}
        for name, pinned in tables.pins.items():
            kept = self._frames.get(name)
            if kept is None or pinned.version is None or kept.pinned != pinned:
                frame = sources.read(self.spark, pinned, columns=tables.wide.table(name).columns)
                kept = self._frames[name] = _Frame(pinned=pinned, frame=frame)
            frames[name] = kept.frame
        return AtVersions(frames=frames, pins=tables.pins, prepared=self)

    def index(self, frame: DataFrame, *, pins: tuple[Pin, ...], what: str) -> KeptRows:
        """The index of tables at their versions: the one there is, else this one, made now."""
        self._used.add(what)
        kept = self._indexes.get(what)
        if kept is not None and kept.pins == pins:
            return kept.rows
        rows = KeptRows.of(frame)
        if kept is not None:
            kept.rows.give_up()
        self._indexes[what] = _Index(pins=pins, rows=rows)
        return rows

    def remember(self, what: str, rows: DataFrame, frame: DataFrame, *, about: object) -> None:
        """The frame was planned over the rows, and would be the same over others as long as `about` is the same."""
        self._planned[what] = (about, Planned(rows=rows, frame=frame))

    def planned(self, what: str, rows: DataFrame, *, about: object) -> DataFrame | None:
        """What was remembered, over these rows; None if it has to be planned."""
        known, planned = self._planned.get(what, (None, None))
        return planned.over(rows) if planned is not None and known == about else None

    def needs_reach(self, wide: WideTable, tables: "AtVersions") -> bool:
        """See `reach.needs_reach`; asked once for the same versions."""
        about = (wide, tables.pins)
        if self._needs_reach is None or self._needs_reach[0] != about:
            self._needs_reach = (about, needs_reach(wide, tables.frames, tables, limit=broadcast_limit(self.spark)))
        return self._needs_reach[1]

    def close(self) -> None:
        """Free what the indexes hold."""
        for kept in self._indexes.values():
            kept.rows.give_up()
        self._indexes.clear()


@dataclass(frozen=True, kw_only=True)
class AtVersions:
    """The frames of one plan's tables, and the keeper of their indexes, if any are kept."""

    frames: Mapping[str, DataFrame]
    pins: Mapping[str, Pin]
    prepared: Prepared | None = None

    @staticmethod
    def once(spark: SparkSession, tables: Tables) -> "AtVersions":
        """For a single use: nothing is kept."""
        return AtVersions(frames=tables.frames(spark), pins=tables.pins)

    def keeps(self, table: str) -> bool:
        fed = self.prepared is None or table.lower() in self.prepared.fed
        return not fed and table in self.pins and self.pins[table].version is not None

    def index(self, frame: DataFrame, *, tables: tuple[str, ...], what: str) -> KeptRows:
        assert self.prepared is not None
        return self.prepared.index(frame, pins=tuple(self.pins[name] for name in tables), what=what)
