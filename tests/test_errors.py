# ruff: noqa: E501  a table of cases reads better with one case a line
"""Every constructor of an error has a golden file; SPARK_SCORING_UPDATE_GOLDEN=1 writes them again."""

import inspect
import os
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from spark_scoring import errors

GOLDEN = Path(__file__).parent / "golden" / "errors"

# what stands in a message where the words make it worth reading; the rest is made from the parameters' names
EXAMPLES: dict[str, dict[str, Any]] = {
    "unreadable_file": {"path": "conf/wide.yaml", "reason": "no such file or directory"},
    "bad_yaml": {"source": "wide.yaml", "line": 7, "problem": "mapping values are not allowed here"},
    "duplicate_key": {"source": "wide.yaml", "line": 9, "key": "planes", "first_line": 3},
    "unset_variable": {"where": "job.yaml: output.batch", "name": "DATA"},
    "unknown_key": {"where": "wide.yaml: steps[1].max_agee", "given": "max_agee", "allowed": ("as_of", "on", "max_age")},
    "missing_key": {"where": "wide.yaml: rows", "key": "time", "given": ("key", "columns"), "meaning": "the event time"},
    "wrong_type": {"where": "wide.yaml: steps", "given": "a mapping", "expected": "a list of steps"},
    "bad_value": {"where": "wide.yaml: steps[1].max_age", "given": "2 hours", "allowed": "a duration like 2h"},
    "unknown_name": {
        "where": "wide.yaml: steps[0].lookup", "kind": "table", "given": "plans", "known": ("planes", "weather"),
    },
    "name_taken": {"where": "wide.yaml: steps[0].take.origin", "given": "origin", "taken_by": "a column of rows"},
    "reserved_name": {"where": "wide.yaml: steps[3].columns.score", "given": "score", "why": "the output has it"},
    "different_types": {
        "where": "wide.yaml: steps[0].on.id", "left": "rows' id is string", "right": "planes's id is int",
    },
    "contradiction": {
        "where": "wide.yaml: steps[1]", "given": "'as_of: planes'", "why": "table planes declares no 'time'",
        "do": "Add 'time' to tables.planes, or use 'lookup'",
    },
    "bad_sql": {"where": "wide.yaml: rules.r", "text": "a + ", "position": 4, "problem": "expected a column"},
    "unsafe_sql": {
        "where": "wide.yaml: rules.r", "given": "reflect()", "why": "it runs Java code", "do": "Leave it out",
    },
    "wrong_arguments": {
        "where": "wide.yaml: rules.r", "function": "hour", "given": "`s` (string)", "expected": "timestamp",
    },
    "unknown_aggregate": {
        "where": "wide.yaml: steps[2].take.n", "given": "cnt(*)", "nearest": "count(*)", "allowed": ("count", "sum"),
    },
}  # fmt: skip


def _constructors() -> dict[str, Callable[..., Exception]]:
    found = {}
    for name, function in inspect.getmembers(errors, inspect.isfunction):
        result = typing.get_type_hints(function).get("return")
        if not name.startswith("_") and inspect.isclass(result) and issubclass(result, errors.SparkScoringError):
            found[name] = function
    return found


def _example(name: str, kind: Any) -> Any:
    if kind is int:
        return 7
    if kind is float:
        return 0.5
    return ("alpha", "beta") if typing.get_origin(kind) is Iterable or "tuple" in str(kind) else f"<{name}>"


CONSTRUCTORS = _constructors()


@pytest.mark.parametrize("name", sorted(CONSTRUCTORS))
def test_message_is_the_golden_one(name: str) -> None:
    hints = {key: kind for key, kind in typing.get_type_hints(CONSTRUCTORS[name]).items() if key != "return"}
    given = EXAMPLES.get(name) or {key: _example(key, kind) for key, kind in hints.items()}
    message = str(CONSTRUCTORS[name](**given))
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("SPARK_SCORING_UPDATE_GOLDEN"):
        file.write_text(f"{message}\n", encoding="utf-8")
    assert file.read_text(encoding="utf-8") == f"{message}\n"


def test_no_golden_file_without_a_constructor() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == set(CONSTRUCTORS)


def test_exit_codes() -> None:
    assert (errors.ConfigError("x").exit_code, errors.RunError("x").exit_code) == (2, 1)


def test_nearest_name_ignores_case() -> None:
    assert errors.did_you_mean("PLANE", ("planes", "weather")) == " Did you mean 'planes'?"
    assert errors.did_you_mean("qqq", ("planes", "weather")) == ""
