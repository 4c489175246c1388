"""One contestant of the stream's benchmark, until it is told to end: an order as JSON on stdin."""

import json
import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import stream_world
from peers.stream_expert import expert
from pyspark.sql import SparkSession
from stream_world import World, make, others

from spark_scoring.cli.options import now, told_to_stop
from spark_scoring.run.session import session
from spark_scoring.run.stream import stream as streamed
from spark_scoring.spec.job import Job, Trigger


def main() -> None:
    """Make the world, or more models, or run one contestant in it."""
    os.environ["SPARK_MASTER"] = "local[2,4]"
    order = json.load(sys.stdin)
    folder = Path(order["world"])
    if order["who"] == "make":
        make(_session(), folder)
    elif order["who"] == "others":
        others(_session(), World(folder=folder), count=int(order["count"]))
    elif order["who"] == "spark_scoring":
        _ours(World(folder=folder), order)
    else:
        names = ("servers", "topic", "model", "most", "udf")
        expert(_session(), World(folder=folder), out=Path(order["out"]), **{name: order[name] for name in names})


def _session() -> SparkSession:
    spark = session("benchmark of the stream")
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _ours(world: World, order: dict[str, Any]) -> None:
    job = Job.unpack(job_mapping(world, order), {}, source="job.yaml")
    # as fast as can be, like the others
    job = replace(job, trigger=Trigger(every=timedelta(0)))
    with told_to_stop() as stop:
        streamed(_session(), job, once=False, now=now, stop=stop)


def job_mapping(world: World, order: dict[str, Any]) -> dict[str, Any]:
    """What `job.yaml` says."""
    model, out = order["model"], order["out"]
    steps = stream_world.STEPS if model == "trees" else stream_world.STEPS[: stream_world.STEPS.index(model) + 1]
    tables = stream_world.wide_mapping(steps)["tables"]
    return {
        "name": "live",
        "rows": {"stream": {"kafka": order["topic"]}},
        "kafka": {"servers": order["servers"], "max_rows_per_batch": order["most"]},
        "tables": {name: {"delta": world.table(name)} for name in tables},
        "models": {"champion": f"models:/{model}@champion"},
        "output": {"stream": f"{out}/scores"},
        "trigger": {"every": "1s"},
        "state": f"{out}/state",
        "registry": world.registry,
    }


if __name__ == "__main__":
    main()
