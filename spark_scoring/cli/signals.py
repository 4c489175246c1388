"""SIGTERM and Ctrl-C: how a command is told to end."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGINT)
AGAIN_S = 0.01
LONGEST_S = 10


@dataclass
class Told:
    """The signal that told the process to end, if one did."""

    by: signal.Signals | None = None


@contextmanager
def interruptible(before: Callable[[], object]) -> Iterator[Told]:
    """SIGTERM and Ctrl-C raise, the first time; a second one ends the process where it is.

    `before` is called first, in a thread of its own: the main thread may be in the middle of a call to the JVM.
    Whatever an error on the way out puts in place of what was raised, what is yielded knows of the signal.
    Python drops what is raised in a finalizer, and py4j has one for every object of the JVM: there it is raised anew.
    """
    told = Told()

    def end(number: int, _: object) -> None:
        for one in ENDING:
            signal.signal(one, signal.SIG_DFL)
        told.by = signal.Signals(number)
        first = threading.Thread(target=before, daemon=True)
        first.start()
        # not for ever: the main thread may hold a lock that the other one waits for
        first.join(LONGEST_S)
        # py4j would take any other exception for a broken connection
        raise KeyboardInterrupt

    def dropped(what: "sys.UnraisableHookArgs") -> None:
        if told.by is None or not isinstance(what.exc_value, KeyboardInterrupt):
            others(what)
            return
        for one in ENDING:
            signal.signal(one, end)
        threading.Timer(AGAIN_S, signal.pthread_kill, (threading.get_ident(), told.by)).start()

    others, sys.unraisablehook = sys.unraisablehook, dropped
    try:
        with _handled(end):
            yield told
    finally:
        sys.unraisablehook = others


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()
    with _handled(lambda *_: stop.set()):
        yield stop


@contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """SIGTERM and Ctrl-C go to the handler. Outside the main thread nothing is handled."""
    numbers = ENDING if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)
