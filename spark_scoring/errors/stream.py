"""The broker, its topics, and the state of a stream."""

from collections.abc import Iterable

from spark_scoring.errors.base import BrokerAwayError, RunError, StateError, did_you_mean, listed


def _recover(job: str) -> str:
    return f"To go on from the table's own log run: spark-scoring recover {job}"


def unreachable_broker(servers: str, *, cause: str) -> BrokerAwayError:
    return BrokerAwayError(
        f"Kafka at {servers} does not answer ({cause}). Check kafka.servers of the job, and that the broker runs."
    )


def missing_topic(topic: str, *, servers: str, known: Iterable[str]) -> RunError:
    names = tuple(name for name in known if not name.startswith("__"))
    return RunError(
        f"topic '{topic}' is not at {servers}.{did_you_mean(topic, names)} There are: {listed(names)}. "
        "Create it, or correct its name in the job."
    )


def broker_did_not_start(servers: str, *, reason: str, log: str) -> RunError:
    return RunError(
        f"broker {servers}: did not start: {reason}. Its last lines:\n{log}\n"
        "Look for a port in use or a wrong Java version there; a second start takes another port."
    )


def damaged_checkpoint(path: str, *, job: str = "JOB") -> StateError:
    return StateError(f"checkpoint file {path} is missing or damaged. {_recover(job)}")


def lost_checkpoint(job: str, *, checkpoint: str, found: str | None) -> StateError:
    what = "is gone" if found is None else f"belongs to another query ({found})"
    return StateError(
        f"{job}: the output holds commits of this job, and its checkpoint {checkpoint} {what}. {_recover(job)}"
    )


def foreign_checkpoint(job: str, *, commit_id: str) -> StateError:
    return StateError(
        f"{job}: {commit_id} is in the output with other offsets than the checkpoint has: an edited or foreign "
        f"checkpoint. {_recover(job)}"
    )


def lost_output(job: str, *, table: str, batch_id: int) -> StateError:
    return StateError(
        f"{job}: the checkpoint is at micro-batch {batch_id}, and {table} holds no commit of this job. "
        "Restore the table, or give the job a new 'state' folder to begin anew."
    )


def offsets_do_not_continue(partition: str, *, expected: int, given: int, job: str) -> StateError:
    kind = "would be lost" if given > expected else "would be scored twice"
    return StateError(
        f"{partition}: the micro-batch begins at offset {given}, the output's log ends at {expected}: records {kind}. "
        f"{_recover(job)}"
    )


def topic_created_again(topic: str, *, job: str) -> StateError:
    return StateError(
        f"{job}: topic '{topic}' is not the one that was read before: it was deleted and created again, so its offsets "
        "mean other records. Give the job a new 'state' and 'output.stream' to begin anew with it."
    )


def feed_owned(table: str, *, owner: str, job: str) -> RunError:
    return RunError(
        f"table '{table}' is fed by job '{owner}', so '{job}' cannot feed it too. "
        "Take the 'feed' out of one of the two jobs."
    )


def feed_not_read(table: str, *, columns: Iterable[str], job: str) -> RunError:
    return RunError(
        f"it reads {listed(columns)} of table {table}, which this stream of {job} began without: "
        "a running stream reads the feeds that it began with. Stop the stream and start it again."
    )
