"""A cell's contestants: compared with one another first, then timed in turns."""

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cells import Cell, Entry
from checksum import Checksum, differences
from measure import Cost
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from runs import Runs, SparkPeer, TooLongError
from scan import files_read
from work import Work

# generated code is compiled by the JVM while it runs: the first rounds measure that, of short runs the first seconds
WARM_ROUNDS = 2
WARM_S = 8.0

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Result:
    """Costs by contestant, one for each round; who was stopped or has a fault has none. Remarks are for the table."""

    cell: Cell
    costs: dict[str, list[Cost]] = field(default_factory=dict)
    stopped: dict[str, Cost] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)


def hold(cell: Cell, *, runs: Runs, rounds: int, say: Say) -> Result:
    """The comparison of the answers, rounds that nobody counts, then rounds in which all take turns."""
    result = Result(cell=cell)
    answers: dict[Work, Checksum] = {}
    for entry in cell.entries:
        _warm_up(entry, runs=runs, result=result, answers=answers)
        say(f"  - {entry.label}: {_outcome(entry, result=result)}")
    fit = [entry for entry in cell.entries if entry.label not in {*result.stopped, *result.faults}]
    warmed, began, turns = [e for e in fit if isinstance(runs.peers[e.peer], SparkPeer)], time.monotonic(), 0
    while warmed and (turns < WARM_ROUNDS or time.monotonic() - began < WARM_S * len(warmed)):
        for entry in warmed:
            _take_turn(entry, runs=runs, result=Result(cell=cell))
        turns += 1
    for number in range(1, rounds + 1):
        for entry in fit:
            _take_turn(entry, runs=runs, result=result)
            cost = result.costs[entry.label][-1]
            say(f"  {number} {entry.label}: {cost.wall_s:.2f} s, CPU {cost.cpu_s:.2f} s")
    return result


def _warm_up(entry: Entry, *, runs: Runs, result: Result, answers: dict[Work, Checksum]) -> None:
    peer, label = runs.peers[entry.peer], entry.label
    try:
        found = runs.checksum(peer, work=entry.work)
    except TooLongError as problem:
        result.stopped[label] = problem.cost
        return
    except (Py4JError, PySparkException) as problem:
        result.faults[label] = _failed(str(problem).strip().splitlines()[0])
        return
    except subprocess.CalledProcessError as problem:
        result.faults[label] = _failed(problem.stderr.decode().strip().splitlines()[-1])
        return
    if not entry.same_answer:
        result.remarks[label] = "another answer, as a floor"
        return
    delta = [table for table in entry.work.tables() if table.delta]
    if isinstance(peer, SparkPeer) and delta:
        files = sum(len(runs.store.frame(runs.spark, table=table).inputFiles()) for table in delta)
        result.remarks[label] = f"files read: {files_read(runs.spark)} of {files}"
    expected = answers.setdefault(entry.work, found)
    if wrong := differences(expected, found, exact=entry.work.exact):
        shown = ", ".join(f"{name} {found[name]} (expected {expected[name]})" for name in wrong)
        result.faults[label] = f"another answer: {shown}"


def _failed(line: str) -> str:
    """The reason in one line, without the paths of this machine."""
    return "failed: " + re.sub(r"(/[^/\s:,]+){2,}", "(a path)", line)[:200]


def _take_turn(entry: Entry, *, runs: Runs, result: Result) -> None:
    try:
        cost = runs.cost(runs.peers[entry.peer], work=entry.work)
    except TooLongError as problem:
        # it kept the limit in the warm-up: the time at the limit is a fair lower bound
        cost = problem.cost
    result.costs.setdefault(entry.label, []).append(cost)


def _outcome(entry: Entry, *, result: Result) -> str:
    label = entry.label
    if label in result.stopped:
        return f"stopped after {result.stopped[label].wall_s:.0f} s"
    return result.faults.get(label) or result.remarks.get(label, "same answer")
