"""What fault tests reach into: instants with a name, and protections with a switch. Both do nothing unless asked.

`SPARK_SCORING_FAILPOINT=name:action` acts when the named instant is reached, `name:action:3` the third time. Actions:
`kill` (SIGKILL to this process), `pause` (SIGSTOP), `raise`. `SPARK_SCORING_WITHOUT=a,b` leaves protections out, to
show that the tests of them would fail.
"""

import os
import signal
import threading
from collections import Counter

FAILPOINT = "SPARK_SCORING_FAILPOINT"
WITHOUT = "SPARK_SCORING_WITHOUT"

_times: Counter[str] = Counter()


class Struck(Exception):
    """Raised by a failpoint with the action `raise`."""


def reached(name: str) -> None:
    """An instant that a test may strike at."""
    armed = os.environ.get(FAILPOINT)
    if armed and armed.split(":")[0] == name:
        _strike(*armed.split(":"))


def protected(name: str) -> bool:
    """Whether a protection is on: always, but in the tests that show what happens without it."""
    return name not in os.environ.get(WITHOUT, "").split(",")


def _strike(name: str, action: str, time: str = "1") -> None:
    _times[name] += 1
    if _times[name] != int(time):
        return
    if action == "raise":
        raise Struck(name)
    # to this thread: sent to the process, another may take it, and this one goes on for a moment
    signal.pthread_kill(threading.get_ident(), {"kill": signal.SIGKILL, "pause": signal.SIGSTOP}[action])
