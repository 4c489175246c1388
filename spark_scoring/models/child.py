"""The process of one model: `python -m spark_scoring.models.child CHANNEL PARENT`; it answers until nobody asks.

Started by a worker that must outlive whatever the model does. Not forked: threads and JVMs do not survive that.
"""

import ctypes
import faulthandler
import json
import os
import signal
import socket
import sys
from typing import Any

from spark_scoring.errors import SparkScoringError
from spark_scoring.models.blocks import asked
from spark_scoring.models.cache import unpack_and_load
from spark_scoring.models.contract import ModelSpec, Predict
from spark_scoring.models.failure import failure_of
from spark_scoring.models.wire import Kind, batch_of, outputs_bytes, receive, send

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main(channel_fd: int, parent: int) -> None:
    """Load the model that comes first, then answer each block of rows."""
    _die_with(parent)
    _keep_noise_apart()
    faulthandler.enable()
    channel = socket.socket(fileno=channel_fd)
    try:
        predict = _loaded(channel)
        while predict is not None:
            _, rows = receive(channel)
            _answer(channel, rows, predict=predict)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    # without exit handlers, which are the model's: nobody waits for them
    os._exit(0)


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


def _keep_noise_apart() -> None:
    """What the model prints goes to stderr, what it reads is empty: the channel is ours alone."""
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)


def _die_with(parent: int) -> None:
    """A worker that is killed takes its models with it, even out of native code; elsewhere than on Linux an idle
    model sees its channel close, and a busy one after its call."""
    if sys.platform == "linux":
        libc: Any = ctypes.CDLL(None)
        libc.prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
