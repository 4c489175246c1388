"""A week of flights as it happened, in event order, into two Kafka topics."""

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from kafka import KafkaProducer

FLIGHT = ("flight_id", "carrier", "origin", "dest", "tailnum", "distance", "sched_dep")
ARRIVAL = ("flight_id", "carrier", "origin", "dest", "arrived_at", "arr_delay")
# what an airline's report of a landing takes to reach the topic
REPORTED_AFTER = timedelta(minutes=15)

Event = tuple[datetime, str, dict[str, Any]]


def events(flights: pa.Table, arrivals: pa.Table, *, start: datetime, end: datetime) -> list[Event]:
    """(when it is sent, topic, record) in that order: flights at their scheduled departure, landings as reported."""
    due = _between(flights, "sched_dep", FLIGHT, start=start, end=end)
    landed = _between(arrivals, "arrived_at", ARRIVAL, start=start, end=end)
    found = [(row["sched_dep"], "flights", row) for row in due]
    found += [(row["arrived_at"] + REPORTED_AFTER, "arrivals", row) for row in landed]
    return sorted(found, key=lambda event: event[:2])


def send(servers: str, week: list[Event], *, per_second: int) -> Iterator[int]:
    """Produce the events at a steady rate, acknowledged by the broker; yields how many are sent, once a second."""
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", linger_ms=5)
    started = time.monotonic()
    for sent, (_, topic, row) in enumerate(week, start=1):
        producer.send(topic, key=row["flight_id"].encode(), value=_record(row))
        if sent % per_second == 0:
            time.sleep(max(0.0, started + sent / per_second - time.monotonic()))
            yield sent
    producer.flush()
    producer.close()
    yield len(week)


def _between(
    table: pa.Table, time_column: str, names: tuple[str, ...], *, start: datetime, end: datetime
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.select(names).to_pylist()
    return [row for row in rows if start <= row[time_column] < end]


def _record(row: dict[str, Any]) -> bytes:
    return json.dumps(
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    ).encode()
