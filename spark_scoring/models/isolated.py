"""A model in a process of its own: what kills or blocks that process costs the rows that did it, and no other."""

import json
import logging
import os
import shutil
import socket
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import pyarrow as pa

from spark_scoring.models.contract import ModelSpec, Outputs
from spark_scoring.models.failure import ModelCrash, ModelFailure, ModelGivenUp, ended
from spark_scoring.models.nursery import Nursery
from spark_scoring.models.wire import Kind, batch_bytes, outputs_of, receive, send

log = logging.getLogger(__name__)
# after so many in one task the model is the fault, not its rows; a row takes two or three
MOST_CRASHES = 100
LAST_WORDS = 2  # chunks of 4 kB
GRACE_S = 5.0


class NotLoadedError(Exception):
    """The model could not be loaded in its process; the text says why, and never holds a value."""


@dataclass(kw_only=True)
class Child:
    """A running process with its model loaded."""

    nursery: Nursery
    pid: int
    channel: socket.socket
    scratch: Path
    said: "deque[bytes]"
    listener: Thread
    code: int | None = None

    @staticmethod
    def start(nursery: Nursery, spec: ModelSpec, archive: bytes) -> "Child":
        """Raises: NotLoadedError. ModelCrash: loading it ended the process."""
        ours, theirs = socket.socketpair()
        hear, speak = os.pipe()
        scratch = Path(tempfile.mkdtemp(prefix="spark-scoring-model-", dir=nursery.scratch_root))
        pid = nursery.spawn([theirs.fileno(), speak], scratch=scratch)
        theirs.close()
        os.close(speak)
        said: deque[bytes] = deque(maxlen=LAST_WORDS)
        listener = Thread(target=_listen, args=(hear, said), daemon=True)
        listener.start()
        child = Child(nursery=nursery, pid=pid, channel=ours, scratch=scratch, said=said, listener=listener)
        try:
            child._load(spec, archive)
        except BaseException:
            child.close()
            raise
        return child

    def _load(self, spec: ModelSpec, archive: bytes) -> None:
        try:
            send(self.channel, Kind.MODEL, spec.dump().encode())
            send(self.channel, Kind.MODEL, archive)
            kind, body = receive(self.channel)
        except (EOFError, OSError):
            raise ModelCrash(self.end()) from None
        if kind is Kind.NOT_LOADED:
            raise NotLoadedError(body.decode())

    def ask(self, batch: pa.RecordBatch, *, timeout_s: float) -> Outputs:
        """Raises: ModelFailure: the model raised. ModelCrash: the process is gone, or had no memory."""
        self.channel.settimeout(timeout_s)
        try:
            send(self.channel, Kind.ROWS, batch_bytes(batch))
            kind, body = receive(self.channel)
        except TimeoutError:
            self.close()
            raise ModelCrash(f"no answer within {timeout_s:g} s") from None
        except (EOFError, OSError):
            raise ModelCrash(self.end()) from None
        if kind is Kind.NO_MEMORY:
            raise ModelCrash("MemoryError")
        if kind is Kind.FAILED:
            reason, detail = _texts(body)
            raise ModelFailure(reason=reason, detail=detail)
        return outputs_of(body)

    @property
    def runs(self) -> bool:
        return self.code is None

    def end(self) -> str:
        """How the process ended that closed its channel; what it said last goes to the log."""
        code = self.close()
        self.listener.join(GRACE_S)
        words = b"".join(self.said).decode(errors="replace").strip()
        log.warning("the process of a model ended by itself%s", f"; its last words: {words}" if words else "")
        return ended(code)

    def close(self) -> int:
        """End the process, and what it may have started, at once; its exit code."""
        if self.code is None:
            self.channel.close()
            self.code = self.nursery.end(self.pid)
            shutil.rmtree(self.scratch, ignore_errors=True)
        return self.code


def _listen(fd: int, said: "deque[bytes]") -> None:
    """Keep the last that it says: nobody reads more, and a full pipe would stop it."""
    with os.fdopen(fd, "rb", buffering=0) as stream:
        while chunk := stream.read(4096):
            said.append(chunk)


def _texts(body: bytearray) -> tuple[str, str]:
    reason, detail = json.loads(body)
    return str(reason), str(detail)


@dataclass(kw_only=True)
class IsolatedModel:
    """A model that is called like any other, and started again after each crash."""

    spec: ModelSpec
    archive: Callable[[], bytes]
    timeout_s: float
    nursery: Nursery
    child: Child | None = None
    crashes: int = 0

    def __call__(self, batch: pa.RecordBatch) -> Outputs:
        if self.crashes >= MOST_CRASHES:
            raise ModelGivenUp(f"not tried, the model crashed {self.crashes} times before in this task")
        try:
            return self.started().ask(batch, timeout_s=self.timeout_s)
        except ModelCrash:
            self.crashes += 1
            raise

    def started(self) -> Child:
        """The process, which is started if there is none. Raises: NotLoadedError, ModelCrash."""
        if self.child is None or not self.child.runs:
            self.child = Child.start(self.nursery, self.spec, self.archive())
        return self.child

    def close(self) -> None:
        """End the process, if there is one."""
        if self.child is not None:
            self.child.close()
            self.child = None


@dataclass(kw_only=True)
class Isolation:
    """The isolated models of a worker process, one process each, and why the others cannot be loaded."""

    attempt: int | None = None
    nursery: Nursery | None = None
    models: dict[str, IsolatedModel] = field(default_factory=dict)
    unfit: dict[str, Exception] = field(default_factory=dict)

    def enter(self, attempt: int, *, specs: Mapping[str, ModelSpec]) -> None:
        """A new attempt of a task begins with a clean record; the processes of its models go on, others end."""
        runtimes = {spec.runtime for spec in specs.values()}
        if self.nursery is not None and not (self.nursery.runs and runtimes <= self.nursery.runtimes):
            self.leave()
        if self.nursery is None:
            self.nursery = Nursery.start(runtimes, scratch_root=_application_folder())
        for digest in self.models.keys() - specs.keys():
            self.models.pop(digest).close()
        if attempt != self.attempt:
            self.attempt = attempt
            self.unfit.clear()
            for model in self.models.values():
                model.crashes = 0

    def get(self, digest: str, *, spec: ModelSpec, archive: Callable[[], bytes], timeout_s: float) -> IsolatedModel:
        """The model, loaded. Raises: NotLoadedError. ModelCrash: loading it ended its process."""
        assert self.nursery is not None  # `enter` comes first
        if digest in self.unfit:
            raise self.unfit[digest]
        model = self.models.setdefault(
            digest, IsolatedModel(spec=spec, archive=archive, timeout_s=timeout_s, nursery=self.nursery)
        )
        model.timeout_s = timeout_s
        try:
            model.started()
        except (NotLoadedError, ModelCrash) as error:
            self.unfit[digest] = error
            raise
        return model

    def leave(self) -> None:
        """End all processes."""
        if self.nursery is not None:
            for model in self.models.values():
                model.close()
            self.models.clear()
            self.nursery.close()
            self.nursery = None


def _application_folder() -> str | None:
    """Spark removes it with the application, whatever becomes of this process."""
    from pyspark import SparkFiles, TaskContext

    return SparkFiles.getRootDirectory() if TaskContext.get() else None


# of this worker process; ended with it, by the system
ISOLATION = Isolation()
