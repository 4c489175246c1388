"""A random nemesis for as long as wanted: `./test.sh soak MINUTES [SEED]`. It ends with the oracle's word.

The stream runs as a process of its own over a broker of its own. Records come in all the while; the nemesis kills,
pauses and corrupts, and starts the stream again as its user would, with the command that the refusal printed.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import SparkSession

from spark_scoring.testing import KafkaBroker
from tests.conftest import JARS
from tests.faults import oracle
from tests.faults.arena import BROKEN, Arena, kill_group, make_arena
from tests.faults.test_killed import wait_for
from tests.faults.test_outages import IMPATIENT

MINUTES = float(os.environ.get("SPARK_SCORING_SOAK_MINUTES", "5"))
SEED = int(os.environ.get("SPARK_SCORING_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
COMMAND = re.compile(r"run: spark-scoring (recover \S+.*)")


@dataclass(kw_only=True)
class Nemesis:
    """Does one thing after the other to a stream that runs, and sees to it that it runs again."""

    arena: Arena
    dice: random.Random
    process: "subprocess.Popen[bytes]"
    rows: int = 0
    done: Counter[str] = field(default_factory=Counter)

    def step(self) -> None:
        self.feed_and_send()
        deeds: list[Callable[[], None]] = [
            self.kill_driver, self.kill_all, self.kill_worker, self.terminate, self.pause_broker, self.kill_broker,
            self.lose_checkpoint, self.lose_commits, self.recover_alive,
        ]  # fmt: skip
        deed = self.dice.choice(deeds)
        self.done[deed.__name__] += 1
        deed()
        self.settle(self.dice.uniform(0, 12))

    def feed_and_send(self) -> None:
        count = self.dice.randrange(1, 40)
        broken = BROKEN if self.dice.random() < 0.3 else []
        self.arena.send(self.rows, self.rows + count, broken=broken)
        self.rows += count
        if self.dice.random() < 0.5:
            self.arena.feed(self.dice.randrange(1, 20))

    def settle(self, seconds: float) -> None:
        """Waits; starts what has ended, after the command it asked for."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.process.poll() is not None:
                self.again()
            time.sleep(0.2)

    def again(self) -> None:
        said = self.arena.log("stream").read_text() if self.arena.log("stream").exists() else ""
        asked = COMMAND.findall(said[-2000:])
        if self.process.returncode == 1 and asked:
            self.arena.finished("recover", log="recover")
        self.arena.log("stream").write_text("")
        self.process = self.arena.start("stream", log="stream")

    def kill_driver(self) -> None:
        self.process.kill()

    def kill_all(self) -> None:
        kill_group(self.process)

    def kill_worker(self) -> None:
        listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,args="], capture_output=True, text=True).stdout
        for line in listed.splitlines():
            pid, group, args = line.split(None, 2)
            if int(group) == self.process.pid and "pyspark.daemon" in args:
                os.kill(int(pid), signal.SIGKILL)

    def terminate(self) -> None:
        self.process.terminate()

    def pause_broker(self) -> None:
        self.arena.broker.pause()
        time.sleep(self.dice.uniform(0, 8))
        self.arena.broker.resume()

    def kill_broker(self) -> None:
        self.arena.broker.kill()
        time.sleep(self.dice.uniform(0, 5))
        self.arena.broker.restart()

    def lose_checkpoint(self) -> None:
        kill_group(self.process)
        shutil.rmtree(Path(self.arena.job.state, "checkpoint"), ignore_errors=True)

    def lose_commits(self) -> None:
        """As a backup that is a few micro-batches old."""
        kill_group(self.process)
        folder = Path(self.arena.job.state, "checkpoint")
        for name in ("commits", "offsets"):
            newest = sorted((path for path in (folder / name).glob("[0-9]*")), key=lambda path: int(path.name))[-2:]
            for path in newest:
                path.unlink()

    def recover_alive(self) -> None:
        """Somebody recovers while the stream sleeps; it wakes up afterwards."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            if Path(self.arena.output, "_delta_log").exists():
                self.arena.finished("recover", log="recover")
        finally:
            os.kill(self.process.pid, signal.SIGCONT)


def test_soak(spark: SparkSession, tmp_path: Path) -> None:
    print(f"seed {SEED}, {MINUTES:g} minutes")  # noqa: T201 - the one thing that makes a failure come again
    with KafkaBroker.start(jars=Path(JARS).parent / "kafka") as broker:
        arena = make_arena(spark, tmp_path, broker, trigger={"every": "1s"}, kafka={"options": IMPATIENT})
        nemesis = Nemesis(arena=arena, dice=random.Random(SEED), process=arena.start("stream", log="stream"))
        until = time.monotonic() + MINUTES * 60
        try:
            # there is nothing to recover before the first commit
            arena.send(0, 1)
            wait_for(lambda: any(Path(arena.output, "_delta_log").glob("*.json")))
            nemesis.rows = 1
            while time.monotonic() < until:
                nemesis.step()
            nemesis.process.terminate()
            nemesis.process.wait(300)
        finally:
            kill_group(nemesis.process)
        arena.finished("recover", log="recover")
        arena.finished("stream", "--once", log="last", timeout_s=1800)
        print(f"{len(arena.sent)} records, {sum(nemesis.done.values())} faults: {dict(nemesis.done)}")  # noqa: T201
        assert not arena.damage()
        assert arena.fed_rows() == arena.fed
        assert len(oracle.rows_of(arena.output)) == len(arena.sent) and arena.holds()
