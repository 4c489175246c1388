"""Where the processes of models come from: a process of its own that has the libraries in memory, and no model."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spark_scoring.models.wire import LONGEST_ORDER


@dataclass(frozen=True, kw_only=True, eq=False)
class Nursery:
    """A running `spark_scoring.models.child`; what it starts ends with it, and it ends with this process."""

    process: "subprocess.Popen[bytes]"
    control: socket.socket
    runtimes: frozenset[str]
    scratch_root: str | None

    @staticmethod
    def start(runtimes: Collection[str], *, scratch_root: str | None) -> "Nursery":
        """One that starts processes for models of these runtimes."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "spark_scoring.models.child", str(theirs.fileno()), str(os.getpid())]
        with theirs:
            process = subprocess.Popen(
                [*command, *sorted(runtimes)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # the worker's own path: Spark has added what was sent out with the job
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        return Nursery(process=process, control=ours, runtimes=frozenset(runtimes), scratch_root=scratch_root)

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def spawn(self, fds: Sequence[int], *, scratch: Path) -> int:
        """The id of a new process with the channel and the pipe for its noise; its temporary files go to `scratch`."""
        return self._ask({"scratch": str(scratch)}, fds=fds)

    def end(self, pid: int) -> int:
        """End a process and all that it started; how it had ended before that, or that it was ended now."""
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        return self._ask({"pid": pid})

    def close(self) -> None:
        """End it."""
        self.control.close()
        self.process.kill()
        self.process.wait()

    def _ask(self, order: dict[str, Any], *, fds: Sequence[int] = ()) -> int:
        socket.send_fds(self.control, [json.dumps(order).encode()], fds)
        answer = self.control.recv(LONGEST_ORDER)
        if not answer:
            raise RuntimeError("the process that starts models has ended")
        return int(json.loads(answer))
