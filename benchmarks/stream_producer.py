"""Records at a steady rate, each with the time it was made: `stream_producer.py SERVERS TOPIC A_SECOND COUNT`."""

import sys
import time

from kafka import KafkaProducer
from stream_world import values

PARTITIONS = 2
# as often as this the rate is kept
SLICE_S = 0.02


def main() -> None:
    """Send COUNT records, A_SECOND of them each second; 0 for as fast as can be."""
    servers, topic, a_second, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    producer = KafkaProducer(bootstrap_servers=servers, acks=1, linger_ms=5)
    began, step = time.monotonic(), max(1, int(a_second * SLICE_S))
    for i, value in zip(range(count), values(a_second=a_second or 500), strict=False):
        producer.send(topic, value=value.encode(), partition=i % PARTITIONS, timestamp_ms=int(time.time() * 1000))
        if a_second and i % step == 0:
            time.sleep(max(0.0, began + i / a_second - time.monotonic()))
    producer.flush()
    producer.close()


if __name__ == "__main__":
    main()
