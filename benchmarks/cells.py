"""What a cell of a benchmark is: contestants on one piece of work, and what is aimed at."""

from dataclasses import dataclass

from work import Work

OURS = "spark_scoring"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A contestant: a peer's name and its work. `same_answer` is false for a floor that computes something else."""

    peer: str
    work: Work
    name: str = ""
    same_answer: bool = True

    @property
    def label(self) -> str:
        """The contestant's name in tables."""
        return self.name or self.peer


@dataclass(frozen=True, kw_only=True)
class Aim:
    """Each of `against` takes at least `at_least` times what `of` takes; with none, `of` just has to finish."""

    text: str
    against: tuple[str, ...] = ()
    at_least: float = 0.0
    of: str = OURS
    field: str = "cpu_s"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One question: its contestants, the one that the others are compared to first."""

    name: str
    title: str
    entries: tuple[Entry, ...]
    aims: tuple[Aim, ...]
