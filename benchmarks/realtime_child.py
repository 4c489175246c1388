"""One contestant of the real-time benchmark, until it is told to end: an order as JSON on stdin."""

import json
import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from stream_world import STEPS, TREES, World, make, wide_mapping

from spark_scoring.cli.options import now, told_to_stop
from spark_scoring.run.lane.runner import realtime
from spark_scoring.run.session import session
from spark_scoring.run.stream import stream
from spark_scoring.spec.job import REALTIME, Job, Trigger


def main() -> None:
    """Make the world, or run one contestant in it."""
    order = json.load(sys.stdin)
    # a slot for each partition of the rows, the others for the landing: still the same two cores
    os.environ["SPARK_MASTER"] = "local[4,4]"
    world = World(folder=Path(order["world"]))
    if order["who"] == "make":
        make(_session(), world.folder)
    elif order["who"] == "plain":
        _plain(_session(), order)
    else:
        job = Job.unpack(job_mapping(world, order), {}, source="job.yaml")
        # micro-batches as fast as can be
        _ours(job if job.lane == REALTIME else replace(job, trigger=Trigger(every=timedelta(0))))


def _session() -> SparkSession:
    spark = session("benchmark of the real-time lane")
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _ours(job: Job) -> None:
    with told_to_stop() as stop:
        run = realtime if job.lane == REALTIME else stream
        run(_session(), job, once=False, now=now, stop=stop)


def _plain(spark: SparkSession, order: dict[str, Any]) -> None:
    """Real-Time Mode as such: a record's bytes and its time, without a table or a model."""
    kafka = {"kafka.bootstrap.servers": order["servers"]}
    records = spark.readStream.format("kafka").options(**kafka, subscribe=order["topic"], startingOffsets="earliest")
    said = "to_json(struct(struct(timestamp) as source), map('timestampFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSXXX\"))"
    frame = records.load().selectExpr("key", f"{said} as value", "partition")
    sink = {**kafka, "topic": order["scores"], "checkpointLocation": f"{order['out']}/state"}
    writer = frame.writeStream.format("kafka").options(**sink, **{"kafka.linger.ms": "0", "kafka.acks": "all"})
    writer.outputMode("update").trigger(realTime=f"{order['batch_s']} seconds").start().awaitTermination()  # type: ignore[call-overload]  # not in its stubs


def job_mapping(world: World, order: dict[str, Any]) -> dict[str, Any]:
    """What `job.yaml` says."""
    out, lane = order["out"], order["who"]
    topic = {"topic": order["scores"]} if lane == REALTIME else {}
    trigger = {"every": "5s", "realtime": f"{order['batch_s']}s"} if lane == REALTIME else {"every": "1s"}
    return {
        "name": "live",
        "rows": {"stream": {"kafka": order["topic"]}},
        "kafka": {"servers": order["servers"], "max_rows_per_batch": 50_000},
        "tables": {name: {"delta": world.table(name)} for name in wide_mapping(STEPS)["tables"]},
        "models": {"champion": f"models:/{TREES}@champion"},
        "output": {"stream": f"{out}/scores", **topic},
        "trigger": trigger,
        "lane": lane,
        "state": f"{out}/state",
        "registry": world.registry,
    }


if __name__ == "__main__":
    main()
