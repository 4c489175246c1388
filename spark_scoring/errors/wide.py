"""Frames and tables that do not fit the wide table's definition."""

from collections.abc import Iterable

from spark_scoring.errors.base import ConfigError, RunError, did_you_mean, listed


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
        f"{where}: column '{name}' is {given}, declared {declared}. "
        "Cast the column, or change the contract in wide.yaml."
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


def needs_classic_session() -> ConfigError:
    """Spark Connect where the JVM's own session is needed."""
    return ConfigError(
        "this session is one of Spark Connect, and the steps of a wide table, as compiled models, run as functions in "
        "Spark's own JVM. "
        "Use a classic session, as spark-submit and SparkSession.builder.getOrCreate() without 'remote' make it."
    )


def other_setting(name: str, *, given: str, fit: str) -> ConfigError:
    return ConfigError(
        f"this session has {name} = {given!r}, with which expressions of a wide table would have other values than in "
        f"the job that scores. Set it before: spark.conf.set({name!r}, {fit!r})."
    )


def cut_changes(*, parts: int, rows: int, columns: Iterable[str], seed: int) -> RunError:
    return RunError(
        f"cut into {parts} micro-batches (seed {seed}), the outcome lacks {rows:,} rows that it has uncut; they differ "
        f"in {listed(columns)}. A row must depend on itself and on the tables alone: leave out what "
        "looks at other rows of its batch, at their order, at a clock or at chance."
    )
