"""What every error of this package is, and the helpers of their messages."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar

LONGEST_QUOTE = 200


class SparkScoringError(Exception):
    """What every error of this package is."""

    exit_code: ClassVar[int] = 1


class ConfigError(SparkScoringError):
    """The configuration or the arguments are wrong."""

    exit_code: ClassVar[int] = 2


class RunError(SparkScoringError):
    """The run met something that is not there or does not hold."""


class StateError(RunError):
    """The stream's state does not fit the output's own log; nothing was written."""


class BrokerAwayError(RunError):
    """The broker does not answer."""


def cut(text: str, *, most: int = LONGEST_QUOTE) -> str:
    """The beginning of a text that is longer than a message should be."""
    return text if len(text) <= most else f"{text[:most]}…"


def listed(names: Iterable[str], *, most: int = 12) -> str:
    """The names with commas, cut after `most`; 'nothing' if there are none."""
    known = [cut(name) for name in names]
    return ", ".join(known[:most]) + (", …" if len(known) > most else "") if known else "nothing"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """' Did you mean 'x'?' if one of the names is near, else nothing."""
    given = cut(given)
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(given.lower(), list(by_lower), n=1, cutoff=0.6)
    return f" Did you mean '{by_lower[near[0]]}'?" if near else ""
