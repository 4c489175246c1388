"""Wall and CPU seconds of contestants, interleaved, and the ratios between them."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one run took."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A median with the least and the greatest value."""

    median: float
    least: float
    greatest: float


def cost_of(run: Callable[[], object]) -> Cost:
    """The cost of a call, CPU of this process and all its descendants: the JVM and its Python workers."""
    cpu, wall = cpu_s(), time.perf_counter()
    run()
    return Cost(wall_s=time.perf_counter() - wall, cpu_s=cpu_s() - cpu)


def cpu_s() -> float:
    """CPU seconds of this process and its descendants so far, those that have ended and were waited for included."""
    parents, used = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                # the command, in parentheses, may hold spaces
                fields = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile; its parent has its seconds
            parents[int(folder.name)] = int(fields[1])
            used[int(folder.name)] = sum(map(int, fields[11:15]))
    return sum(used[pid] for pid in used if _descends(pid, parents=parents, of=os.getpid())) / _TICKS


def _descends(pid: int, *, parents: dict[int, int], of: int) -> bool:
    while pid in parents:
        if pid == of:
            return True
        pid = parents[pid]
    return False


def spread(values: Sequence[float]) -> Spread:
    """The spread of some values."""
    return Spread(median=median(values), least=min(values), greatest=max(values))


def ratio(theirs: Sequence[Cost], ours: Sequence[Cost], *, field: str) -> Spread:
    """How many times more a contestant takes than another, paired by round."""
    pairs = zip(theirs, ours, strict=False)
    return spread([getattr(left, field) / max(getattr(right, field), 1 / _TICKS) for left, right in pairs])
