"""The broker, its topics, and the state of a stream."""

from collections.abc import Iterable

from spark_scoring.errors.base import BrokerAwayError, ConfigError, RunError, StateError, did_you_mean, listed


def _recover(job: str, flags: Iterable[str] = ()) -> str:
    asked = [*flags]
    words = [*asked, '--reason "why"'] if asked else []
    return f"To go on from the table's own log run: {' '.join(['spark-scoring recover', job, *words])}"


def unreachable_broker(servers: str, *, cause: str) -> BrokerAwayError:
    return BrokerAwayError(
        f"Kafka at {servers} does not answer ({cause}). Check kafka.servers and security.protocol under "
        "kafka.options of the job, and that the broker runs."
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


def damaged_checkpoint(path: str, *, job: str) -> StateError:
    return StateError(f"checkpoint file {path} is missing or damaged. {_recover(job)}")


def damaged_begin(path: str) -> StateError:
    return StateError(
        f"{path} is damaged: it says of each partition of the topic of scores at which offset this lane's first score "
        'may stand. Delete it and the .crc file of its name, and write it anew, as {"0": 0, "1": 0} for two partitions '
        "from their first record on: no row has been landed yet, and scores by other jobs are left out."
    )


def lost_checkpoint(job: str, *, checkpoint: str, found: str | None) -> StateError:
    what = "is gone" if found is None else f"belongs to another query ({found})"
    return StateError(
        f"{job}: the output holds commits of this job, and its checkpoint {checkpoint} {what}. {_recover(job)}"
    )


def topics_left_out(job: str, *, topics: tuple[str, ...]) -> StateError:
    return StateError(
        f"{job}: its checkpoint goes on in {', '.join(topics)}, which the job no longer reads. Put it back, or leave "
        f"unread what is not read yet. {_recover(job)}"
    )


def foreign_checkpoint(job: str, *, commit_id: str) -> StateError:
    return StateError(
        f"{job}: {commit_id} is in the output with other offsets than the checkpoint has: an edited or foreign "
        f"checkpoint. {_recover(job)}"
    )


def lost_output(job: str, *, table: str, batch_id: int) -> StateError:
    return StateError(
        f"{job}: the checkpoint is at micro-batch {batch_id}, and {table} holds neither a commit nor a row of this "
        "job. Restore the table, or give the job a new 'state' folder to begin anew."
    )


def output_taken_away(job: str, *, table: str) -> StateError:
    return StateError(
        f"{job}: {table} is not the table that it was at this stream's last commit: it was deleted, or another, or an "
        "older copy, stands in its place. Nothing was written. Put it back as it was; after a restore from a backup "
        f"run 'spark-scoring recover {job}'; to begin anew, give the job a new 'state' folder."
    )


def fed_table_taken_away(job: str, *, table: str, path: str) -> StateError:
    return StateError(
        f"{job}: {path} is not the table that it was when this stream last read {table}: it was deleted, or another, "
        "or an older copy, stands in its place, and what was fed to it is gone. Nothing was written. Put it back as it "
        f"was, or accept the loss. {_recover(job, ['--accept-loss'])}"
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
        f"mean other records. {_recover(job, ['--accept-new-topic'])}"
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


def records_gone(partition: str, *, start: int, until: int, job: str) -> StateError:
    return StateError(
        f"{partition}: the broker has removed records {start} to {until}, and the stream had not read them. Restore "
        f"them, or accept the loss. {_recover(job, ['--accept-loss'])}"
    )


def malformed_timestamp(partition: str, *, offset: int, job: str) -> RunError:
    return RunError(
        f"{partition}: Spark cannot read the record at offset {offset}: its timestamp is too large for milliseconds. "
        f"Have its producer send milliseconds, and the broker delete the record (kafka-delete-records, offset "
        f"{offset + 1}); what was not read before it goes as well. {_recover(job, ['--accept-loss'])}"
    )


def not_accepted(job: str, *, what: Iterable[str], flags: Iterable[str]) -> StateError:
    return StateError(f"{job}: {'; '.join(what)}. {_recover(job, flags)}")


def reason_needed() -> ConfigError:
    return ConfigError('what is accepted needs a reason: it is kept in the table\'s log. Add --reason "why".')


def expired_ledger(job: str, *, table: str) -> StateError:
    return StateError(
        f"{job}: {table} holds commits of this job, and its log no longer says which: old entries were removed "
        f"(delta.logRetentionDuration). The rows' own offsets can take its place. {_recover(job)}"
    )


def recovered_already(job: str) -> StateError:
    return StateError(f"{job}: another 'recover' or 'stream' of this job was faster. Run 'spark-scoring status {job}'.")


def fenced(job: str, *, generation: str) -> StateError:
    return StateError(
        f"{job}: this stream was replaced: generation {generation} has taken over in the output's log, so this one "
        "may commit nothing more, and has not. Leave the other one running; nothing is lost."
    )


def second_stream(job: str, *, where: str) -> RunError:
    return RunError(
        f"{job}: a stream of this job runs already ({where}). One job has one stream: stop that one first, with "
        "SIGTERM."
    )


def state_of_another(job: str, *, state: str, whose: str) -> StateError:
    return StateError(
        f"{job}: state {state} is that of {whose}: two streams in one folder would take each other's checkpoint. Give "
        "this job a 'state' of its own; or, if it is the same job, its name and output of before."
    )


def unfit_options(names: Iterable[str], *, cause: str) -> ConfigError:
    return ConfigError(
        f"kafka.options: a client of Kafka does not take {listed(names)} ({cause}). Correct what they say; values are "
        "not shown."
    )


def unfit_servers(servers: str) -> ConfigError:
    return ConfigError(f"kafka.servers: '{servers}' is no list of brokers. Write `host:port`, and `,` between several.")


def refused_by_broker(servers: str, *, cause: str) -> RunError:
    return RunError(
        f"no access to Kafka at {servers} ({cause}). Correct the security options under kafka.options of the job: "
        "user, password, certificates, rights."
    )
