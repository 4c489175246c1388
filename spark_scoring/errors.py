"""Every error this package raises on purpose: one constructor for each kind of mistake.

A message says where, what was given, what there is, and what to do; never a secret or a row's value.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class SparkScoringError(Exception):
    """What every error of this package is."""

    exit_code: ClassVar[int] = 1


class ConfigError(SparkScoringError):
    """The configuration or the arguments are wrong."""

    exit_code: ClassVar[int] = 2


class RunError(SparkScoringError):
    """The run met something that is not there or does not hold."""


def listed(names: Iterable[str], *, most: int = 12) -> str:
    """The names with commas, cut after `most`; 'nothing' if there are none."""
    known = list(names)
    return ", ".join(known[:most]) + (", …" if len(known) > most else "") if known else "nothing"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """' Did you mean 'x'?' if one of the names is near, else nothing."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(given.lower(), list(by_lower), n=1, cutoff=0.6)
    return f" Did you mean '{by_lower[near[0]]}'?" if near else ""


def unreadable_file(path: str, *, reason: str) -> ConfigError:
    return ConfigError(f"{path}: cannot be read: {reason}. Give the path of a YAML file.")


def bad_yaml(source: str, *, line: int, problem: str) -> ConfigError:
    return ConfigError(f"{source}:{line}: not valid YAML: {problem}. Correct that line.")


def duplicate_key(source: str, *, line: int, key: str, first_line: int) -> ConfigError:
    return ConfigError(
        f"{source}:{line}: key '{key}' stands here again, first on line {first_line}. Keep one of the two."
    )


def unset_variable(where: str, *, name: str) -> ConfigError:
    return ConfigError(
        f"{where}: environment variable '{name}' is not set. Set it, or write $${{{name}}} for plain text."
    )


def unknown_key(where: str, *, given: str, allowed: Iterable[str]) -> ConfigError:
    names = tuple(allowed)
    return ConfigError(f"{where}: unknown key '{given}'.{did_you_mean(given, names)} Allowed: {listed(names)}.")


def missing_key(where: str, *, key: str, given: Iterable[str], meaning: str) -> ConfigError:
    return ConfigError(f"{where}: key '{key}' is missing. Given: {listed(given)}. Add '{key}': {meaning}.")


def wrong_type(where: str, *, given: str, expected: str) -> ConfigError:
    return ConfigError(f"{where}: expected {expected}, got {given}.")


def bad_value(where: str, *, given: str, allowed: str) -> ConfigError:
    return ConfigError(f"{where}: '{given}' is not allowed here. Allowed: {allowed}.")


def unknown_name(where: str, *, kind: str, given: str, known: Iterable[str]) -> ConfigError:
    names = tuple(known)
    return ConfigError(f"{where}: unknown {kind} '{given}'.{did_you_mean(given, names)} Allowed: {listed(names)}.")


def name_taken(where: str, *, given: str, taken_by: str) -> ConfigError:
    return ConfigError(f"{where}: the name '{given}' exists already: {taken_by}. Choose another name.")


def reserved_name(where: str, *, given: str, why: str) -> ConfigError:
    return ConfigError(f"{where}: the name '{given}' is not allowed: {why}. Choose another name.")


def different_types(where: str, *, left: str, right: str) -> ConfigError:
    return ConfigError(
        f"{where}: key types differ: {left}, {right}. Keys are compared without a cast: declare both with one type."
    )


def contradiction(where: str, *, given: str, why: str, do: str) -> ConfigError:
    """Two parts that are right alone and wrong together."""
    return ConfigError(f"{where}: {given}: {why}. {do}.")


def bad_sql(where: str, *, text: str, position: int, problem: str) -> ConfigError:
    """SQL that does not parse; `position` counts characters from 0."""
    return ConfigError(f"{where}: cannot read SQL {text!r} at character {position + 1}: {problem}.")


def unsafe_sql(where: str, *, given: str, why: str, do: str) -> ConfigError:
    """SQL that parses and is not allowed."""
    return ConfigError(f"{where}: '{given}' is not allowed: {why}. {do}.")


def wrong_arguments(where: str, *, function: str, given: str, expected: str) -> ConfigError:
    return ConfigError(f"{where}: function '{function}' was given {given}. Allowed: {expected}.")


def unknown_aggregate(where: str, *, given: str, nearest: str | None, allowed: Iterable[str]) -> ConfigError:
    """`given` and `nearest` are whole calls: 'cnt(*)', 'count(*)'."""
    hint = f" Did you mean '{nearest}'?" if nearest else ""
    return ConfigError(f"{where}: unknown aggregate '{given}'.{hint} Allowed: {', '.join(allowed)}.")


def unsupported_model(kind: str, *, why: str, do: str) -> ConfigError:
    return ConfigError(f"model {kind}: {why}. {do}, then package it again.")


def untrusted_model(source: str, *, types: Iterable[str]) -> RunError:
    return RunError(
        f"{source}: holds types that are not trusted: {listed(types)}. "
        "Trusted: classes of scikit-learn and numpy.dtype. Package the model again with spark-scoring."
    )


def not_a_package(uri: str, *, missing: Iterable[str]) -> ConfigError:
    return ConfigError(
        f"{uri}: not a spark_scoring package: it lacks {listed(missing)}. "
        "Make one with 'spark-scoring package' "
        "or spark_scoring.package(model, wide=…, sample=…, name=…, registry=…)."
    )


def package_changed(uri: str, *, given: str, expected: str) -> RunError:
    return RunError(
        f"{uri}: the files have digest {given[:12]}, registered was {expected[:12]}: "
        "they changed after packaging. Package the model again."
    )


def feature_missing(uri: str, *, name: str, known: Iterable[str]) -> ConfigError:
    names = tuple(known)
    return ConfigError(
        f"{uri}: the model reads column '{name}', and the frame has none.{did_you_mean(name, names)} "
        f"There are: {listed(names)}. Score a frame that its wide table made."
    )


def feature_type(uri: str, *, name: str, given: str, expected: str) -> ConfigError:
    return ConfigError(
        f"{uri}: column '{name}' is {given}, the model learned it as {expected}. "
        "Package the model again with a sample of today's wide table, or restore the type."
    )


def nested_feature(name: str, *, given: str) -> ConfigError:
    return ConfigError(
        f"sample: column '{name}' is {given}. A feature is a number, text, boolean, date or instant. "
        "Take it apart with a step 'columns'."
    )


def inputs_not_in_wide(wide: str, *, missing: Iterable[str], known: Iterable[str]) -> ConfigError:
    lost, names = tuple(missing), tuple(known)
    return ConfigError(
        f"wide table {wide}: the model reads columns that are not in it: {listed(lost)}."
        f"{did_you_mean(lost[0], names)} There are: {listed(names, most=40)}. "
        "Fit the model on columns of the wide table, or add a step."
    )


def sample_lacks(missing: Iterable[str], *, known: Iterable[str]) -> ConfigError:
    return ConfigError(
        f"sample: lacks columns that the model reads: {listed(missing)}. There are: {listed(known)}. "
        "Give rows of the wide table, as 'spark-scoring widen' makes them."
    )


def sample_too_small(rows: int, *, least: int) -> ConfigError:
    return ConfigError(f"sample: {rows} rows. At least {least} are needed. Give more rows of the wide table.")


def sample_not_scored(rows: int, *, failed: int, detail: str) -> ConfigError:
    return ConfigError(
        f"sample: {failed} of {rows} rows got no score: {detail}. Give a sample of which at least half can be scored."
    )


def wrong_model_uri(given: str) -> ConfigError:
    return ConfigError(
        f"'{given}' names no model. Allowed: models:/name@alias, models:/name/3, runs:/run_id/name, a folder."
    )


def unknown_model(uri: str, *, name: str, known: Iterable[str]) -> RunError:
    names = tuple(known)
    return RunError(
        f"{uri}: the registry has no model '{name}'.{did_you_mean(name, names)} There are: {listed(names)}. "
        "Register it with 'spark-scoring package'."
    )


def unknown_version(uri: str, *, version: str, known: Iterable[str]) -> RunError:
    return RunError(f"{uri}: there is no version {version}. There are: {listed(known)}. Name one of them.")


def unknown_alias(uri: str, *, alias: str, known: Iterable[str]) -> RunError:
    names = tuple(known)
    return RunError(
        f"{uri}: there is no alias '{alias}'.{did_you_mean(alias, names)} There are: {listed(names)}. "
        "Set it with 'spark-scoring package --alias', or name a version."
    )


def missing_artifact(uri: str, *, reason: str) -> RunError:
    return RunError(f"{uri}: its files cannot be fetched: {reason}. Look into the registry's artifact store.")


def registry_unreachable(registry: str, *, reason: str) -> RunError:
    return RunError(
        f"registry {registry}: cannot be reached: {reason}. "
        "Check 'registry' of the job, and that the server runs or the database file is there."
    )


def golden_differs(uri: str, *, rows: int, scores: int, labels: int, greatest: str) -> RunError:
    return RunError(
        f"{uri}: of {rows} golden rows {scores} got another score (greatest difference {greatest}) "
        f"and {labels} another label than when the model was packaged. "
        "Install the package's library versions, or package it again."
    )


def sample_type(name: str, *, expected: str) -> ConfigError:
    return ConfigError(
        f"sample: column '{name}' does not hold {expected}, as the wide table or its first rows say. "
        "Give the sample as 'spark-scoring widen' makes it, in Arrow."
    )


class StateError(RunError):
    """The stream's state does not fit the output's own log; nothing was written."""


class BrokerAwayError(RunError):
    """The broker does not answer."""


def _recover(job: str, flag: str = "") -> str:
    return f"To go on from the table's own log run: spark-scoring recover {job}{' ' + flag if flag else ''}"


def missing_part(job: str, *, part: str, command: str) -> ConfigError:
    return ConfigError(f"{job}: '{command}' needs {part}, and the job does not say it. Add it to the file.")


def session_setting(setting: str, *, needed: str) -> ConfigError:
    return ConfigError(
        f"the Spark session was started without {setting}={needed}. Start it with ./spark-submit.sh, or add the setting."
    )


def missing_table(name: str, *, where: str, cause: str) -> RunError:
    return RunError(f"table '{name}': not found at {where} ({cause}). Create it, or correct its place in the job.")


def unreadable_version(path: str, *, version: int, cause: str) -> RunError:
    return RunError(
        f"{path}: version {version} cannot be read any more ({cause}). Only newer versions are there; "
        "keep more with delta.logRetentionDuration and delta.deletedFileRetentionDuration."
    )


def table_without_place(name: str, *, job: str, there: Iterable[str]) -> ConfigError:
    names = tuple(there)
    return ConfigError(
        f"{job}: tables: the wide table reads '{name}', and the job does not say where it lives."
        f"{did_you_mean(name, names)} There are: {listed(names)}. Add 'tables: {{{name}: {{delta: …}}}}'."
    )


def different_wide(given: str, *, champion: str) -> RunError:
    return RunError(
        f"{given} has another wide table than the champion, {champion}. Models of one job share one wide table for now: "
        "package both with the same wide.yaml, or run them as two jobs."
    )


def other_digest(uri: str, *, planned: str, found: str) -> RunError:
    return RunError(
        f"{uri}: its files are not those of the plan (digest {found[:12]}, planned {planned[:12]}). "
        "Register the original files again under a new version."
    )


def skipped_write(path: str) -> RunError:
    return RunError(
        f"{path}: Delta reported success and wrote nothing: the transaction id is in its log already. "
        "Another stream of this job, or a restored table, is at work; see 'spark-scoring status'."
    )


def would_empty(commit_id: str, *, target: str) -> RunError:
    return RunError(
        f"{commit_id}: the source has no rows for an interval that has rows in {target}. "
        "Look at the source; if the rows are meant to go, add --allow-empty."
    )


def nothing_to_resume(job: str, *, interval: str) -> RunError:
    return RunError(f"{job}: no unfinished run of {interval} is on record. Run it without --resume.")


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
        f"topic '{topic}' is not the one that was read before: it was deleted and created again. "
        f"{_recover(job, '--accept-new-topic')}"
    )


def records_expired(partition: str, *, expected: int, earliest: int, job: str) -> StateError:
    return StateError(
        f"{partition}: the output's log ends at offset {expected}, and the broker has kept only those from {earliest}: "
        f"{earliest - expected} offsets were never read. {_recover(job, '--accept-loss')}"
    )


def feed_owned(table: str, *, owner: str, job: str) -> RunError:
    return RunError(
        f"table '{table}' is fed by job '{owner}', so '{job}' cannot feed it too. "
        "Take the 'feed' out of one of the two jobs."
    )


def brake(commit_id: str, *, rejected: int, rows: int, share: float) -> RunError:
    return RunError(
        f"{commit_id}: {rejected} of {rows} rows were rejected, more than stop_when.rejected_share {share:g}. The commit "
        "was made and nothing is lost. See the reasons with 'spark-scoring status', then start the stream again."
    )


def no_commits(path: str, *, job: str) -> RunError:
    return RunError(f"{path} holds no commit of job '{job}'. Run 'score' or 'stream' first.")


def nothing_kept(path: str) -> RunError:
    return RunError(f"{path} was written without the rows themselves. Set 'output: {{keep: [input, features]}}'.")


def nothing_to_recover(job: str) -> RunError:
    return RunError(f"{job}: the checkpoint fits the output's log; there is nothing to recover. Run 'stream'.")


def wrong_instant(option: str, *, given: str) -> ConfigError:
    return ConfigError(f"{option}: '{given}' is no instant. Write 2013-09-01 or 2013-09-01T06:00:00 (UTC).")


def wrong_span(start: str, end: str) -> ConfigError:
    return ConfigError(f"--from {start} is not before --to {end}. The interval is half open: --to is not part of it.")


def broker_did_not_start(servers: str, *, reason: str, log: str) -> RunError:
    return RunError(
        f"broker {servers}: did not start: {reason}. Its last lines:\n{log}\n"
        "Look for a port in use or a wrong Java version there; a second start takes another port."
    )


def table_not_given(table: str, *, given: Iterable[str]) -> RunError:
    names = tuple(given)
    return RunError(
        f"table '{table}' is not given.{did_you_mean(table, names)} Given: {listed(names)}. "
        f"Give a frame under the name '{table}'."
    )


def column_missing(where: str, *, name: str, there: Iterable[str]) -> RunError:
    names = tuple(there)
    return RunError(
        f"{where}: column '{name}' is missing.{did_you_mean(name, names)} There are: {listed(names)}. "
        "Add the column, or change the contract in wide.yaml."
    )


def column_of_other_type(where: str, *, name: str, given: str, declared: str) -> RunError:
    return RunError(
        f"{where}: column '{name}' is {given}, declared {declared}. Cast the column, or change the contract in wide.yaml."
    )


def column_twice(where: str, *, name: str) -> RunError:
    return RunError(f"{where}: column '{name}' is there twice (names are compared without case). Rename or drop one.")


def name_not_free(name: str) -> RunError:
    return RunError(
        f"rows: column '{name}' has a name that the wide table gives to a column of its own. Rename or drop it."
    )


def key_of_other_type(where: str, *, left: str, given: str, right: str, table: str) -> ConfigError:
    return ConfigError(
        f"{where}.on: '{left}' is {given}, the table's '{right}' is {table}. Keys are compared without a cast: "
        "cast one of them in a 'columns' step or where the table is written."
    )


def aggregate_not_defined(where: str, *, function: str, given: str) -> ConfigError:
    return ConfigError(
        f"{where}: {function} of {given}. {function} is defined for integers, decimals, float and double. "
        "Cast the argument, or take count, min, max, first or last."
    )


def condition_not_boolean(where: str, *, text: str, given: str) -> ConfigError:
    return ConfigError(f"{where}: the condition '{text}' is {given}, not boolean. Compare it with something.")


def step_not_possible(where: str, *, problem: str) -> ConfigError:
    return ConfigError(f"{where}: Spark cannot plan this step: {problem.splitlines()[0]} Correct the step.")


def not_equal(*, different: int, rows: int) -> RunError:
    return RunError(
        f"parity does not hold: {different} of {rows} rows got other bits at the same versions. "
        "Look at the columns above; was a table rewritten in place, or a library changed?"
    )


def too_late(*, share: float, most: float) -> RunError:
    return RunError(
        f"late: {share:.2%} of the rows have another feature on today's tables, more than --max-late {most:.2%}. "
        "Give the table 'known_at', or let the feed run ahead of the rows."
    )


def does_not_hold() -> RunError:
    return RunError("verify does not hold: see the lines above. Nothing was changed.")


def unknown_format(source: str, *, allowed: Iterable[str]) -> ConfigError:
    return ConfigError(
        f"--model {source}: unknown format. Allowed: files ending in {listed(allowed)}, or models:/… or runs:/…."
    )


def missing_file(path: str) -> ConfigError:
    return ConfigError(f"{path}: no such file. Look at the path; it is taken from the current directory.")


def unreadable_model(source: str, *, reason: str) -> RunError:
    return RunError(f"--model {source}: cannot be read: {reason}. Save it again in this environment with joblib.dump.")


def not_sklearn(uri: str, *, reason: str) -> ConfigError:
    return ConfigError(
        f"{uri}: not a scikit-learn model: {reason}. Log the fitted estimator with mlflow.sklearn.log_model."
    )
