"""The topics as the broker has them, held against where the ledger stands: created again, or records removed."""

from collections.abc import Mapping

from spark_scoring import errors
from spark_scoring.io.broker import TopicState
from spark_scoring.run.faults import protected
from spark_scoring.run.ledger import Standing


def check_topics(known: Standing, states: Mapping[str, TopicState], *, job: str) -> None:
    """Nothing, if every topic is the one that was read, and still holds what was not read of it.

    Raises: StateError: a topic was deleted and created again, or records were removed before they were read.
    """
    for topic, state in states.items():
        if protected("topic_id") and known.topic_ids.get(topic, state.topic_id) != state.topic_id:
            raise errors.topic_created_again(topic, job=job)
        if not known.begun and topic not in known.ends:
            continue
        for partition, earliest in state.earliest.items():
            # what is new, the topic of a feed too, is read from its first record on: Spark starts at 0, or not at all
            end = known.ends.get(topic, {}).get(partition, 0)
            if end < earliest and protected("retention"):
                raise errors.records_gone(f"{topic}[{partition}]", start=end, until=earliest, job=job)
