"""Records one by one at a steady rate, each sent as it is made: `realtime_producer.py SERVERS TOPIC A_SECOND COUNT`."""

import sys
import time

from kafka import KafkaProducer
from stream_world import values

PARTITIONS = 2


def main() -> None:
    """Send COUNT records, A_SECOND of them each second."""
    servers, topic, a_second, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    producer = KafkaProducer(bootstrap_servers=servers, acks=1, linger_ms=0)
    began = time.monotonic()
    for i, value in zip(range(count), values(a_second=a_second), strict=False):
        time.sleep(max(0.0, began + i / a_second - time.monotonic()))
        producer.send(topic, value=value.encode(), partition=i % PARTITIONS, timestamp_ms=int(time.time() * 1000))
    producer.flush()
    producer.close()


if __name__ == "__main__":
    main()
