"""Half open spans, of offsets or of instants: what many of them cover together, and what they leave out."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

At = TypeVar("At", int, datetime)


def merged(spans: Iterable[tuple[At, At]]) -> list[tuple[At, At]]:
    """The same instants or offsets in as few spans as can be, ascending."""
    found: list[tuple[At, At]] = []
    for start, until in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            start, until = found[-1][0], max(until, found.pop()[1])
        found.append((start, until))
    return found


def left_out(spans: Iterable[tuple[At, At]], covered: Iterable[tuple[At, At]]) -> list[tuple[At, At]]:
    """What of the spans none of the others covers, ascending."""
    found, others = list[tuple[At, At]](), merged(covered)
    for start, until in merged(spans):
        for low, high in others:
            if start < min(low, until):
                found.append((start, min(low, until)))
            start = max(start, high)
        if start < until:
            found.append((start, until))
    return found
