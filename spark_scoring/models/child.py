"""Processes of models: `python -m spark_scoring.models.child CONTROL PARENT RUNTIME…` starts one for each order.

It has imported the runtimes and done nothing else when it forks, so a model is there again in the time that loading it
takes. A worker is never forked: threads of OpenMP and the JVM of a PMML model do not survive that.
"""

import ctypes
import faulthandler
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from spark_scoring.errors import SparkScoringError
from spark_scoring.models.blocks import asked
from spark_scoring.models.cache import RUNTIMES, unpack_and_load
from spark_scoring.models.contract import ModelSpec, Predict
from spark_scoring.models.failure import failure_of
from spark_scoring.models.wire import LONGEST_ORDER, Kind, batch_of, outputs_bytes, receive, send

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
# what the runtimes import when they load a model
LIBRARIES = {
    "sklearn": ("skops.io",),
    "lightgbm": ("lightgbm",),
    "xgboost": ("xgboost",),
    "onnx": ("onnxruntime",),
    "pmml": ("jpype", "pypmml"),
    "pyfunc": ("mlflow.pyfunc",),
}


def main(control_fd: int, parent: int, runtimes: Sequence[str]) -> None:
    """Start a process for each order, and tell how one ended, until nobody asks."""
    _die_with(parent)
    _import(runtimes)
    control = socket.socket(fileno=control_fd)
    while True:
        order, fds, _, _ = socket.recv_fds(control, LONGEST_ORDER, 2)
        if not order:
            return
        given = json.loads(order)
        answer = _started(control, fds, scratch=given["scratch"]) if fds else _ended(given["pid"])
        control.sendall(json.dumps(answer).encode())


def _import(runtimes: Sequence[str]) -> None:
    for runtime in runtimes:
        # what is missing here is told when a model asks for it
        with suppress(Exception):
            importlib.import_module(RUNTIMES[runtime])
            for name in LIBRARIES[runtime]:
                importlib.import_module(name)


def _started(control: socket.socket, fds: Sequence[int], *, scratch: str) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        # here too: who ends the group must find it
        with suppress(OSError):
            os.setpgid(pid, pid)
        for fd in fds:
            os.close(fd)
        return pid
    try:
        control.close()
        os.setpgid(0, 0)
        os.environ["TMPDIR"] = scratch
        _die_with(parent)
        _serve(*fds)
    finally:
        # without exit handlers, which are the model's: nobody waits for them
        os._exit(1)


def _ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _serve(channel_fd: int, noise_fd: int) -> None:
    """Load the model that comes first, then answer each block of rows."""
    _keep_noise_apart(noise_fd)
    faulthandler.enable()
    channel = socket.socket(fileno=channel_fd)
    try:
        predict = _loaded(channel)
        while predict is not None:
            _, rows = receive(channel)
            _answer(channel, rows, predict=predict)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)


def _loaded(channel: socket.socket) -> Predict | None:
    spec = ModelSpec.unpack(json.loads(receive(channel)[1]))
    _, content = receive(channel)
    try:
        predict = unpack_and_load(bytes(content), spec=spec)
    except Exception as error:  # noqa: BLE001 - a model is foreign code and may raise anything
        said = str(error) if isinstance(error, SparkScoringError) else type(error).__name__
        send(channel, Kind.NOT_LOADED, said.encode())
        return None
    send(channel, Kind.LOADED)
    return predict


def _answer(channel: socket.socket, rows: bytearray, *, predict: Predict) -> None:
    try:
        outputs = outputs_bytes(asked(predict, batch_of(rows)))
    except MemoryError:
        send(channel, Kind.NO_MEMORY)
    except Exception as error:  # noqa: BLE001 - a model is foreign code and may raise anything
        failure = failure_of(error)
        send(channel, Kind.FAILED, json.dumps([failure.reason, failure.detail]).encode())
    else:
        send(channel, Kind.ANSWER, outputs)


def _keep_noise_apart(noise_fd: int) -> None:
    """What the model prints goes to a pipe of its own, and the channel is ours alone."""
    for fd in (1, 2):
        os.dup2(noise_fd, fd)
    os.close(noise_fd)


def _die_with(parent: int) -> None:
    """A worker that is killed takes its models with it, even out of native code; elsewhere than on Linux an idle
    model sees its channel close, and a busy one after its call."""
    if sys.platform == "linux":
        libc: Any = ctypes.CDLL(None)
        libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
