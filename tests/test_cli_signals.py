"""SIGTERM and Ctrl-C, wherever they come."""

import signal
import time

import pytest

from spark_scoring.cli.signals import Terminated, interruptible


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_signal_that_comes_in_a_finalizer_is_not_lost(number: signal.Signals, raised: type[BaseException]) -> None:
    class Closed:
        def __del__(self) -> None:
            signal.raise_signal(number)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt) as caught, interruptible():
        Closed()
        time.sleep(10)

    assert caught.type is raised
    assert signal.getsignal(number) is before
