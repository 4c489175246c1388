"""SIGTERM and Ctrl-C: how a command is told to end."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGINT)
AGAIN_S = 0.01


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised as Ctrl-C is: py4j would take any other exception for a broken connection."""


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and Ctrl-C raise, the first time; a second one ends the process where it is.

    Python drops what is raised in a finalizer, and py4j has one for every object of the JVM: there it is raised anew.
    """

    def end(number: int, _: object) -> None:
        for one in ENDING:
            signal.signal(one, signal.SIG_DFL)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    def dropped(what: "sys.UnraisableHookArgs") -> None:
        if not isinstance(what.exc_value, KeyboardInterrupt):
            others(what)
            return
        for one in ENDING:
            signal.signal(one, end)
        number = signal.SIGTERM if isinstance(what.exc_value, Terminated) else signal.SIGINT
        threading.Timer(AGAIN_S, signal.pthread_kill, (threading.get_ident(), number)).start()

    others, sys.unraisablehook = sys.unraisablehook, dropped
    try:
        with _handled(end):
            yield
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
