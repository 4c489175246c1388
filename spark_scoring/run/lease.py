"""The lease of a stream: a file in the job's state that says who runs it, so that a second one is refused at once.

Correctness does not rest on it but on Delta's transactions. A holder that was killed on this machine is known to be
gone. Of any other, only silence tells: its heartbeat is watched with the watcher's own clock, as no two agree.
"""

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import SparkSession

from spark_scoring import errors
from spark_scoring.io import files
from spark_scoring.run.faults import protected
from spark_scoring.spec.job import Job

log = logging.getLogger(__name__)

BEAT_S = 3.0
SILENT_S = 15.0
LOOK_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A process that holds a lease. `machine`: where its `pid` means something; `born`: when the process began."""

    token: str
    host: str
    machine: str
    pid: int
    born: str

    @property
    def named(self) -> str:
        """For people."""
        return f"process {self.pid} on {self.host}"


@dataclass(kw_only=True)
class Lease:
    """A lease that is held; `lost` is set when another process has taken it."""

    spark: SparkSession
    path: str
    holder: Holder
    lost: threading.Event = field(default_factory=threading.Event)
    taken_by: str = ""
    done: threading.Event = field(default_factory=threading.Event)
    _beats: int = 0

    def check(self, job: str) -> None:
        """Nothing while it is held. Raises: RunError: another stream of the job has taken it."""
        if self.lost.is_set():
            raise errors.second_stream(job, where=self.taken_by)

    def beat(self) -> None:
        """Renew it every few seconds until it is given back or lost. To be run on a thread of its own."""
        while not self.done.wait(BEAT_S):
            try:
                self._renew()
            except Exception as error:  # noqa: BLE001 - a store that fails for a while takes no lease away
                log.warning("the lease was not renewed: %s", type(error).__name__)

    def give_back(self) -> None:
        there = _read(self.spark, self.path)
        if there is not None and there[0] == self.holder:
            files.remove(self.spark, self.path)

    def _renew(self) -> None:
        there = _read(self.spark, self.path)
        if there is not None and there[0] != self.holder:
            self.taken_by = there[0].named
            self.lost.set()
            self.done.set()
            return
        self._beats += 1
        files.write_text(self.spark, self.path, _text(self.holder, self._beats))


@contextmanager
def held(spark: SparkSession, job: Job, *, wait: Callable[[float], object] = time.sleep) -> Iterator[Lease]:
    """The lease of the job's stream while the block runs. Takes at most `SILENT_S` and a little.

    Raises: RunError: a stream of this job runs.
    """
    path, own = f"{job.state}/stream.lease", _own()
    _take(spark, job, path, own, wait=wait)
    lease = Lease(spark=spark, path=path, holder=own)
    beating = threading.Thread(target=lease.beat, name="lease", daemon=True)
    beating.start()
    try:
        yield lease
    finally:
        # no beat may be under way, or it would write the file anew
        lease.done.set()
        beating.join()
        lease.give_back()


def _take(spark: SparkSession, job: Job, path: str, own: Holder, *, wait: Callable[[float], object]) -> None:
    there = _read(spark, path)
    if there is not None and protected("lease"):
        _refuse_if_alive(spark, job, path, wait=wait)
    if there is None and files.write_new(spark, path, _text(own, 0)):
        return
    files.write_text(spark, path, _text(own, 0))


def _refuse_if_alive(spark: SparkSession, job: Job, path: str, *, wait: Callable[[float], object]) -> None:
    first = _read(spark, path)
    until = time.monotonic() + SILENT_S
    while first is not None:
        holder = first[0]
        running = _running(holder)
        now = _read(spark, path)
        if running or (now is not None and now != first):
            raise errors.second_stream(job.path, where=holder.named)
        if running is False or now is None or time.monotonic() > until:
            return
        wait(LOOK_S)


def _running(holder: Holder) -> bool | None:
    """Whether the process is there and not stopped; None where that cannot be known from here."""
    if holder.machine != _machine() or not Path("/proc/self/stat").exists():
        return None
    state = _stat(holder.pid)
    if state is None or state[1] != holder.born:
        return False
    # a stopped one may wake up: it is given the time that another machine would be
    return None if state[0] in "Tt" else True


def _own() -> Holder:
    pid = os.getpid()
    born = (_stat(pid) or ("", ""))[1]
    return Holder(token=uuid.uuid4().hex, host=socket.gethostname(), machine=_machine(), pid=pid, born=born)


def _machine() -> str:
    """The machine since its start, and on it the name space of process numbers: containers have their own."""
    parts = [socket.gethostname()]
    boot = Path("/proc/sys/kernel/random/boot_id")
    parts += [boot.read_text("utf-8").strip()] if boot.exists() else []
    space = Path("/proc/self/ns/pid")
    parts += [str(space.readlink())] if space.is_symlink() else []
    return " ".join(parts)


def _stat(pid: int) -> tuple[str, str] | None:
    """The state of a process and when it began, in the kernel's ticks; None if it is not there."""
    try:
        # the name in brackets may hold blanks
        words = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else (words[0], words[19])


def _text(holder: Holder, beats: int) -> str:
    return json.dumps({**vars(holder), "beats": beats})


def _read(spark: SparkSession, path: str) -> tuple[Holder, int] | None:
    text = files.read_settled(spark, path)
    try:
        plain = json.loads(text or "")
        beats = plain.pop("beats")
        return Holder(**plain), beats
    except (ValueError, TypeError, KeyError):
        # nothing, or half-written by a store that cannot replace a file in one step
        return None
