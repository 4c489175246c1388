"""Mistakes in YAML, in its SQL and in arguments."""

from collections.abc import Iterable

from spark_scoring.errors.base import LONGEST_QUOTE, ConfigError, cut, did_you_mean, listed


def unreadable_file(path: str, *, reason: str) -> ConfigError:
    return ConfigError(f"{path}: cannot be read: {reason}. Give the path of a YAML file.")


def bad_yaml(source: str, *, line: int, problem: str) -> ConfigError:
    return ConfigError(f"{source}:{line}: not valid YAML: {cut(problem)}. Correct that line.")


def duplicate_key(source: str, *, line: int, key: str, first_line: int) -> ConfigError:
    return ConfigError(
        f"{source}:{line}: key '{cut(key)}' stands here again, first on line {first_line}. Keep one of the two."
    )


def unset_variable(where: str, *, name: str) -> ConfigError:
    return ConfigError(
        f"{where}: environment variable '{cut(name)}' is not set. Set it, or write $${{{cut(name)}}} for plain text."
    )


def no_variable_name(where: str) -> ConfigError:
    return ConfigError(
        f"{where}: '${{…}}' stands for an environment variable, and what is in it is no name of one. "
        "Correct the name, or write $${…} for plain text."
    )


def open_variable(where: str) -> ConfigError:
    return ConfigError(
        f"{where}: '${{' begins the name of an environment variable, and the '}}' after it is missing. "
        "Add it, or write $${ for plain text."
    )


def unknown_key(where: str, *, given: str, allowed: Iterable[str]) -> ConfigError:
    names = tuple(allowed)
    return ConfigError(f"{where}: unknown key '{cut(given)}'.{did_you_mean(given, names)} Allowed: {listed(names)}.")


def missing_key(where: str, *, key: str, given: Iterable[str], meaning: str) -> ConfigError:
    return ConfigError(f"{where}: key '{key}' is missing. Given: {listed(given)}. Add '{key}': {meaning}.")


def wrong_type(where: str, *, given: str, expected: str) -> ConfigError:
    return ConfigError(f"{where}: expected {expected}, got {cut(given)}.")


def bad_value(where: str, *, given: str, allowed: str, known: Iterable[str] = ()) -> ConfigError:
    return ConfigError(f"{where}: '{cut(given)}' is not allowed here.{did_you_mean(given, known)} Allowed: {allowed}.")


def unknown_name(where: str, *, kind: str, given: str, known: Iterable[str]) -> ConfigError:
    names = tuple(known)
    return ConfigError(f"{where}: unknown {kind} '{cut(given)}'.{did_you_mean(given, names)} Allowed: {listed(names)}.")


def name_taken(where: str, *, given: str, taken_by: str) -> ConfigError:
    return ConfigError(f"{where}: the name '{cut(given)}' exists already: {taken_by}. Choose another name.")


def reserved_name(where: str, *, given: str, why: str) -> ConfigError:
    return ConfigError(f"{where}: the name '{cut(given)}' is not allowed: {why}. Choose another name.")


def different_types(where: str, *, left: str, right: str) -> ConfigError:
    return ConfigError(
        f"{where}: key types differ: {left}, {right}. Keys are compared without a cast: declare both with one type."
    )


def contradiction(where: str, *, given: str, why: str, do: str) -> ConfigError:
    """Two parts that are right alone and wrong together."""
    return ConfigError(f"{where}: {cut(given)}: {why}. {do}.")


def bad_sql(where: str, *, text: str, position: int, problem: str) -> ConfigError:
    """SQL that does not parse; `position` counts characters from 0."""
    start = max(0, min(position - LONGEST_QUOTE // 2, len(text) - LONGEST_QUOTE))
    near = cut(text[start:]) if start == 0 else f"…{cut(text[start:])}"
    return ConfigError(
        f"{where}: cannot read SQL {near!r} at character {position + 1}: {cut(problem)}. Correct it there."
    )


def unsafe_sql(where: str, *, given: str, why: str, do: str) -> ConfigError:
    """SQL that parses and is not allowed."""
    return ConfigError(f"{where}: '{cut(given)}' is not allowed: {why}. {do}.")


def wrong_arguments(where: str, *, function: str, given: str, expected: str) -> ConfigError:
    return ConfigError(f"{where}: function '{function}' was given {cut(given)}. Allowed: {expected}.")


def unknown_aggregate(where: str, *, given: str, nearest: str | None, allowed: Iterable[str]) -> ConfigError:
    """`given` and `nearest` are whole calls: 'cnt(*)', 'count(*)'."""
    hint = f" Did you mean '{nearest}'?" if nearest else ""
    return ConfigError(f"{where}: unknown aggregate '{cut(given)}'.{hint} Allowed: {', '.join(allowed)}.")


def not_a_folder(where: str, *, given: str) -> ConfigError:
    return ConfigError(f"{where}: '{cut(given)}' is a file, and a folder is needed. Give another path.")


def missing_part(job: str, *, part: str, command: str) -> ConfigError:
    return ConfigError(f"{job}: '{command}' needs {part}, and the job does not say it. Add it to the file.")


def wrong_instant(option: str, *, given: str) -> ConfigError:
    return ConfigError(f"{option}: '{given}' is no instant. Write 2013-09-01 or 2013-09-01T06:00:00 (UTC).")


def too_fine_instant(option: str, *, given: str) -> ConfigError:
    return ConfigError(f"{option}: '{given}' is finer than a microsecond. Write at most six digits after the second.")


def wrong_span(start: str, end: str) -> ConfigError:
    return ConfigError(f"--from {start} is not before --to {end}. Give a later --to; it is not part of the interval.")
