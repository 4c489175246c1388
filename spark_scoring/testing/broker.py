"""A real Apache Kafka for tests and demos, started from jars. Needs only Java; leaves nothing behind."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self
from uuid import UUID

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import KafkaError

from spark_scoring.errors import broker_did_not_start

LOOPBACK = "127.0.0.1"
HEAP = ("-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
LOG_LEVEL = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"

# Records of any age and from any future are taken and kept: with the broker's own defaults flights of 2013
# are deleted after five minutes. Small numbers of everything, because one node has nobody to share with.
# After a SIGKILL the new process may register when the session of the old one is over: 3 s, not the usual 9.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
log.retention.ms=-1
log.message.timestamp.after.max.ms=9223372036854775807
log.message.timestamp.before.max.ms=9223372036854775807
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=1
num.io.threads=2
background.threads=1
"""

# Runs beside the broker and ends it when its parent is gone without a farewell (`atexit` knows no SIGKILL)
GUARD = """\
import os, shutil, sys
pid, folder = sys.argv[1:]
if not sys.stdin.read():
    os.kill(int(pid), 9)
    shutil.rmtree(folder, ignore_errors=True)
"""


class Record(NamedTuple):
    """What `produce` sends; without a partition the key decides, without a timestamp the clock."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int | None = None
    partition: int | None = None


class Acknowledged(NamedTuple):
    """Where a record stands now."""

    partition: int
    offset: int


class KafkaBroker:
    """A single-node Apache Kafka on loopback, with its data in a folder of its own.

    with KafkaBroker.start(jars=Path(".cache/jars/kafka")) as broker:
        broker.create_topic("flights", 2)
        produce(broker.servers, "flights", [Record(b"k", b"{}")])
    """

    def __init__(
        self, *, jars: Path, port: int, data: Path, own_data: bool, timeout_s: float, settings: Mapping[str, str]
    ) -> None:
        """Use `start`."""
        self.jars, self.port, self.data, self.timeout_s = jars, port, data, timeout_s
        self._settings = settings
        self._own_data = own_data
        self._controller_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @classmethod
    def start(
        cls,
        *,
        jars: Path,
        port: int | None = None,
        data: Path | None = None,
        timeout_s: float = 60,
        settings: Mapping[str, str] | None = None,
    ) -> Self:
        """A broker that answers. A given `data` folder is kept at the end, and its topics are there again.

        `settings`: further lines of its server.properties, in place of ours; `{port}` and `{controller_port}` stand
        for its ports.

        Raises: RunError with the end of the broker's log when it does not answer in time.
        """
        folder = data or Path(tempfile.mkdtemp(prefix="kafka-"))
        own_data = data is None
        broker = cls(
            jars=jars, port=port or free_port(), data=folder, own_data=own_data, timeout_s=timeout_s,
            settings=settings or {},
        )  # fmt: skip
        with ExitStack() as on_error:
            on_error.callback(broker.close)
            broker._format()
            broker._launch()
            on_error.pop_all()
        return broker

    @property
    def servers(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the broker is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if it is still there after 15 s. Topics and records stay for `restart`."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what a power cut does to it."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Up again with the same address and data, after `stop` and `kill` too."""
        self.stop()
        self._launch()

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Kill it, and remove its data unless the folder was given."""
        self.kill()
        atexit.unregister(self.close)
        if self._own_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def create_topic(self, name: str, partitions: int = 1, *, settings: Mapping[str, str] | None = None) -> str:
        """The id of a new topic that is ready to be written to."""
        wish = {"num_partitions": partitions, "replication_factor": 1, "configs": dict(settings or {})}
        with self._admin() as admin:
            admin.create_topics({name: wish}, wait_for_metadata=True)
        return self.topic_id(name)

    def delete_topic(self, name: str) -> None:
        """Returns when the name is free again."""
        with self._admin() as admin:
            admin.delete_topics([name])
            deadline = time.monotonic() + self.timeout_s
            while name in admin.list_topics() and time.monotonic() < deadline:
                time.sleep(0.05)

    def topic_id(self, name: str) -> str:
        """The topic's id in hex. A topic that was deleted and made anew has another."""
        with self._admin() as admin:
            (topic,) = admin.describe_topics([name])
        if topic["error_code"] != 0:
            raise KeyError(name)
        return UUID(str(topic["topic_id"])).hex

    def _admin(self) -> KafkaAdminClient:
        timeout_ms = int(self.timeout_s * 1000)
        return KafkaAdminClient(bootstrap_servers=self.servers, bootstrap_timeout_ms=timeout_ms)

    def _java(self, *arguments: str) -> list[str]:
        java = Path(os.environ["JAVA_HOME"]) / "bin" / "java" if os.environ.get("JAVA_HOME") else Path("java")
        return [str(java), *HEAP, LOG_LEVEL, "-cp", f"{self.jars}/*", *arguments]

    @property
    def _config(self) -> Path:
        return self.data / "server.properties"

    @property
    def _log(self) -> Path:
        return self.data / "broker.log"

    @property
    def _identity(self) -> Path:
        return self.data / "records" / "meta.properties"

    def _format(self) -> None:
        records = self.data / "records"
        records.mkdir(parents=True, exist_ok=True)
        ports = {"port": self.port, "controller_port": self._controller_port}
        # of two lines for the same setting the last one counts
        lines = PROPERTIES + "".join(f"{name}={value}\n" for name, value in self._settings.items())
        self._config.write_text(lines.format(host=LOOPBACK, data=records, **ports), "utf-8")
        if self._identity.exists():
            return
        # 16 bytes in base64, and the first character may not be a dash
        cluster_id = urlsafe_b64encode(b"spark_scor" + os.urandom(6)).decode().rstrip("=")
        tool = ("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._config))
        with self._log.open("ab") as log:
            done = subprocess.run(self._java(*tool), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        if done.returncode:
            raise broker_did_not_start(self.servers, reason="its data folder cannot be made", log=self._tail())

    def _launch(self) -> None:
        with self._log.open("ab") as log:
            # a session of its own: a Ctrl-C in the terminal is for us, and we end the broker when we are done
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._config)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        folder = str(self.data) if self._own_data else ""
        guard = [sys.executable, "-I", "-S", "-c", GUARD, str(self._process.pid), folder]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True)
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + self.timeout_s
        while not is_open(self.port) or not self._answers():
            if not self.running:
                raise broker_did_not_start(self.servers, reason="it has ended", log=self._tail())
            if time.monotonic() > deadline:
                reason = f"no answer in {self.timeout_s:.0f} s"
                raise broker_did_not_start(self.servers, reason=reason, log=self._tail())
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with KafkaAdminClient(bootstrap_servers=self.servers, bootstrap_timeout_ms=2000) as admin:
                # another broker may have the port: ours is known by its cluster id
                return f"cluster.id={admin.describe_cluster()['cluster_id']}\n" in self._identity.read_text("utf-8")
        except KafkaError:
            return False

    def _tail(self) -> str:
        return "\n".join(self._log.read_text("utf-8", errors="replace").splitlines()[-20:])

    def _end(self, number: signal.Signals) -> None:
        process, guard, self._process, self._guard = self._process, self._guard, None, None
        if process is not None and process.poll() is None:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)  # a paused process does not see a SIGTERM
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if guard is not None:
            guard.communicate(b"the broker is gone")


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def produce(servers: str, topic: str, records: Iterable[Record]) -> list[Acknowledged]:
    """Where each record stands, in the order given; all are acknowledged by the broker when this returns."""
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=20, max_block_ms=30_000)
    try:
        sent = [producer.send(topic, **Record(*record)._asdict()) for record in records]
        producer.flush(60)
        return [Acknowledged(done.partition, done.offset) for done in (future.get(60) for future in sent)]
    finally:
        producer.close()
