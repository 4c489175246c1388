"""A job as its YAML says it, and changes of it."""

import copy
from pathlib import Path
from typing import Any

from spark_scoring.spec.job import Job
from spark_scoring.spec.read import parse_yaml

CONF = Path(__file__).parents[1] / "conf" / "flights"
ENVIRON = {"DATA": "/data", "KAFKA": "localhost:9092"}
GIVEN: dict[str, Any] = parse_yaml(
    """
name: flight_delay
rows:
  batch:  {delta: ${DATA}/flights}
  stream: {kafka: flights, format: json}
kafka: {servers: ${KAFKA}, max_rows_per_batch: 50000, options: {kafka.sasl.jaas.config: secret, x: true}}
tables:
  planes:   {delta: ${DATA}/planes}
  weather:  {table: catalog.weather}
  arrivals: {delta: ${DATA}/arrivals, feed: {kafka: arrivals, time_unit: ms, unknown: reject}}
models: {champion: models:/flight_delay@champion}
output: {batch: ${DATA}/scores, stream: ${DATA}/scores_stream, keep: [features]}
trigger: {every: 5s}
stop_when: {rejected_share: 0.5, min_rows: 1000}
state: ${DATA}/state
registry: sqlite:///${DATA}/mlflow.db
""",
    source="test",
)
DROP = object()


def setting(path: str, value: Any) -> dict[str, Any]:
    return set_in(GIVEN, path, value)


def set_in(given: Any, path: str, value: Any) -> Any:
    """The mapping with one place set (`steps/2/take/n`); the value DROP takes it out."""
    mapping = copy.deepcopy(given)
    place: Any = mapping
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    for part in parents:
        place = place[part]
    if value is DROP:
        del place[last]
    else:
        place[last] = value
    return mapping


def unpack(mapping: Any) -> Job:
    return Job.unpack(mapping, ENVIRON, source="job.yaml")
