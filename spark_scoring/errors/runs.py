"""Sessions, tables and runs."""

from collections.abc import Iterable

from spark_scoring.errors.base import ConfigError, RunError, did_you_mean, listed


def session_setting(setting: str, *, needed: str) -> ConfigError:
    return ConfigError(
        f"the Spark session was started without {setting}={needed}. Start it with "
        "./spark-submit.sh, or add the setting."
    )


def skipping_session(setting: str) -> ConfigError:
    return ConfigError(
        f"the Spark session sets {setting}: Delta would skip every write but the first and report success. "
        "Unset it; a commit made again replaces itself."
    )


def missing_table(name: str, *, where: str, cause: str) -> RunError:
    return RunError(f"table '{name}': not found at {where} ({cause}). Create it, or correct its place in the job.")


def not_in_file(name: str, *, column: str, there: Iterable[str]) -> RunError:
    names = tuple(there)
    return RunError(
        f"{name}: the csv file has no column '{column}'.{did_you_mean(column, names)} It has: {listed(names)}. "
        "Correct its first line, 'options: {sep: …}' of the source, or the declared columns."
    )


def unreadable_version(path: str, *, version: int, cause: str) -> RunError:
    return RunError(
        f"{path}: version {version} cannot be read any more ({cause}). Only newer versions are there; "
        "keep more with delta.logRetentionDuration and delta.deletedFileRetentionDuration."
    )


def made_anew(path: str, *, version: int) -> RunError:
    return RunError(
        f"{path}: the table was made anew: its version {version} is not the one that was read, which is gone. "
        "Overwrite a table instead of deleting it: its older versions then stay readable."
    )


def skipped_write(path: str) -> RunError:
    return RunError(
        f"{path}: Delta reported success and wrote nothing: the transaction id is in its log already. "
        "Another stream of this job, or a restored table, is at work; see 'spark-scoring status'."
    )


def would_empty(commit_id: str, *, target: str) -> RunError:
    return RunError(
        f"{commit_id}: the source has no rows for this commit, and {target} holds some of it. "
        "Look at the source; if the rows are meant to go, add --allow-empty."
    )


def nothing_to_resume(job: str, *, interval: str) -> RunError:
    return RunError(f"{job}: no unfinished run of {interval} is on record. Run it without --resume.")


def unreadable_record(path: str) -> RunError:
    return RunError(
        f"{path}: this record of a run is damaged, and no other unfinished run of that interval is on record. "
        "Run it without --resume."
    )


def other_rows(name: str, *, run_id: str) -> RunError:
    return RunError(
        f"{name} is not the source that the run {run_id} began with; going on would mix the two. "
        "Run it without --resume, or put the source back."
    )


def overtaken(out: str, *, run_id: str) -> RunError:
    return RunError(
        f"{out}: another run has written there since the run {run_id} was interrupted; going on would mix two states "
        "of the tables. Run it without --resume."
    )


def brake(commit_id: str, *, rejected: int, rows: int, share: float) -> RunError:
    return RunError(
        f"{commit_id}: {rejected} of {rows} rows were rejected, more than stop_when.rejected_share {share:g}. "
        "The commit was made and nothing is lost. See the reasons with 'spark-scoring status', "
        "then start the stream again."
    )


def no_commits(path: str, *, job: str) -> RunError:
    return RunError(f"{path}: no commit of job '{job}'. Run 'spark-scoring score' or 'spark-scoring stream' first.")


def plans_expired(path: str, *, job: str) -> RunError:
    return RunError(
        f"{path}: holds rows of job '{job}', and its log no longer says what they were scored with: old entries were "
        "removed. 'spark-scoring verify' checks them by their rows alone; what is committed from now on can be scored "
        "again, as long as delta.logRetentionDuration keeps its entries."
    )


def nothing_kept(path: str) -> RunError:
    return RunError(f"{path} was written without the rows themselves. Set 'output: {{keep: [input, features]}}'.")


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


def unexpected(cause: str) -> RunError:
    """What no other constructor foresees: the cause as Spark, Java or Python gave it, in one line."""
    return RunError(f"the run failed: {cause}. Remove the cause and run it again; --debug shows where it arose.")


def ended(how: str) -> RunError:
    return RunError(f"{how}. Run it again: what was not finished was not written. score and widen go on with --resume.")


def unusable_place(path: str, *, cause: str) -> RunError:
    return RunError(f"{path}: cannot be looked into ({cause}). Correct the path, or its access rights.")


def not_written(path: str, *, cause: str) -> RunError:
    return RunError(f"{path}: Delta refused the write ({cause}). Nothing was written. Give another table, or alter it.")


def other_output(path: str, *, missing: Iterable[str]) -> RunError:
    return RunError(
        f"{path}: holds another table: it lacks {listed(missing)}, which every output has. "
        "Give the output a path of its own."
    )


def always_slower(what: str, *, tries: int) -> RunError:
    return RunError(
        f"{what}: another writer of this table, which commits to the same dates at the same time, was faster {tries} "
        "times. Nothing was written for this commit. Run it again when the other is done or stopped; 'score' and "
        "'widen' go on with --resume."
    )


def several_in_place(path: str) -> RunError:
    return RunError(
        f"{path}: some record was rejected more than once there, so that its new score has no one place. Nothing was "
        "written. 'spark-scoring verify' names the doubled records; remove them first."
    )


def closed_output(path: str, *, why: str) -> RunError:
    return RunError(f"{path}: no write to this table would succeed: {why}. Alter it, or give the output another path.")


def other_files(path: str, *, there: Iterable[str]) -> RunError:
    return RunError(
        f"{path}: no Delta table is there, but other files: {listed(there, most=3)}. "
        "Give the output a path of its own, or empty that folder."
    )


def output_of_another_job(path: str, *, owner: str, job: str) -> RunError:
    return RunError(
        f"{path}: holds the output of job '{owner}', and this is job '{job}': each has a table of its own. "
        f"Give the output another path; if the job was renamed, name it '{owner}' again."
    )


def output_of_the_other_kind(path: str, *, job: str, owner: str, kind: str) -> RunError:
    return RunError(
        f"{path}: holds the {owner} output of job '{job}', and this is its {kind}: batch and stream have a table each. "
        f"Nothing was written. Give output.{kind} another path."
    )


def output_type(path: str, *, column: str, given: str, there: str) -> RunError:
    return RunError(
        f"{path}: column '{column}' is {there} in the table, and would be {given} now. A type is never changed: "
        "restore the type in wide.yaml, or give the output another path."
    )


def other_training_set(path: str, *, different: Iterable[str]) -> RunError:
    return RunError(
        f"{path}: holds another training set: {listed(different)}. All rows of one have the same columns: "
        "give another --out, or delete that table."
    )


def not_pinned(name: str, *, table: str) -> RunError:
    return RunError(
        f"table '{name}': {table} is in the catalog, but is no Delta table, and only Delta keeps versions that a "
        "commit can be pinned to. Make it Delta, or add 'pinned: false' and do without that proof."
    )


def no_such_row(where: str, *, key: str, time: str, elsewhere: int) -> RunError:
    other = "rows have" if elsewhere != 1 else "row has"
    return RunError(
        f"{where}: no row with {key} at {time}; {elsewhere} {other} this key at another time. "
        "Give the row's own event time, to the microsecond, in UTC."
    )


def rows_differ(where: str, *, key: str, time: str, rows: int) -> RunError:
    return RunError(
        f"{where}: {rows} rows with {key} at {time}, and they are not equal, so that there is no one answer. "
        "Give rows.key in wide.yaml a column that tells them apart."
    )


def commit_expired(path: str, *, commit_id: str) -> RunError:
    return RunError(
        f"{path}: the log no longer holds commit {commit_id}, so nobody knows what the row was scored with. "
        "Explain it by 'rows.batch', or keep more of the log with delta.logRetentionDuration."
    )
