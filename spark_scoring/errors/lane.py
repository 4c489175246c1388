"""The real-time lane: what cannot run there, and what its state does not fit."""

from collections.abc import Iterable

from spark_scoring.errors.base import ConfigError, RunError, StateError


def not_on_lane(job: str, *, reasons: Iterable[str]) -> ConfigError:
    lines = "".join(f"\n  {reason}" for reason in reasons)
    return ConfigError(f"{job}: cannot run on lane 'realtime':{lines}\nChange them, or use 'lane: micro-batch'.")


def too_few_slots(job: str, *, partitions: int, slots: int) -> ConfigError:
    return ConfigError(
        f"{job}: lane 'realtime' keeps one task slot for each of the {partitions} partitions of the rows topic, and "
        f"needs one more to land the scores; there are {slots}. Start Spark with {partitions + 1} slots or more, as in "
        f"SPARK_MASTER=local[{partitions + 2},4]."
    )


def other_lane(job: str, *, lane: str, other: str, table: str, state: str) -> StateError:
    return StateError(
        f"{job}: {table} and {state} are those of lane '{other}', which counts its offsets over another topic than "
        f"'{lane}'. Go on with --lane {other}, or 'lane: {other}' in the job; or give lane '{lane}' an 'output.stream' "
        "and a 'state' of its own."
    )


def unknown_run(topic: str, *, run: str, folder: str, job: str) -> StateError:
    return StateError(
        f"topic '{topic}' holds scores of run {run}, of which {folder} holds no plan: without it nobody knows which "
        "tables and models they were made with. Put the folder back; or leave them out, and have all that is not in "
        f"the table scored again, with: spark-scoring recover {job} --score-again"
    )


def lane_ended(reason: str) -> RunError:
    return RunError(f"the query of lane 'realtime' ended: {reason}. Run it again: it goes on where it was.")
