"""Messages between a worker and the process of a model: one byte that says what it is, a length, the bytes."""

import socket
import struct
from enum import Enum

import numpy as np
import pyarrow as pa

from spark_scoring.models.contract import Outputs

LONGEST_ORDER = 65536
_HEAD = struct.Struct("<cQ")


class Kind(Enum):
    """What a message says."""

    LOADED = b"l"
    NOT_LOADED = b"n"
    ANSWER = b"a"
    FAILED = b"f"
    NO_MEMORY = b"m"
    ROWS = b"r"
    MODEL = b"o"


def send(channel: socket.socket, kind: Kind, body: bytes = b"") -> None:
    """Raises: OSError: the other side is gone. TimeoutError: it does not listen."""
    channel.sendall(_HEAD.pack(kind.value, len(body)))
    channel.sendall(body)


def receive(channel: socket.socket) -> tuple[Kind, bytearray]:
    """The next message. Raises: EOFError: the other side is gone. TimeoutError: nothing came."""
    kind, length = _HEAD.unpack(_exactly(channel, _HEAD.size))
    return Kind(kind), _exactly(channel, length)


def _exactly(channel: socket.socket, length: int) -> bytearray:
    content = bytearray(length)
    view, got = memoryview(content), 0
    while got < length:
        count = channel.recv_into(view[got:])
        if not count:
            raise EOFError
        got += count
    return content


def batch_bytes(batch: pa.RecordBatch) -> bytes:
    """A batch with its schema."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def batch_of(content: bytearray) -> pa.RecordBatch:
    """The batch again; it points into `content`."""
    return pa.ipc.open_stream(pa.py_buffer(content)).read_next_batch()


def outputs_bytes(outputs: Outputs) -> bytes:
    """Scores and labels, bit by bit."""
    places = pa.array(outputs.label, pa.int32(), mask=outputs.label < 0)
    label = pa.DictionaryArray.from_arrays(places, pa.array(outputs.names, pa.string()))
    return batch_bytes(pa.record_batch({"score": outputs.score, "label": label}))


def outputs_of(content: bytearray) -> Outputs:
    """Scores and labels again."""
    batch = batch_of(content)
    label = batch["label"]
    places = label.indices.fill_null(-1).to_numpy()
    return Outputs(
        score=np.array(batch["score"].to_numpy()), label=np.array(places), names=tuple(label.dictionary.to_pylist())
    )
