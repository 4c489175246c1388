"""SIGTERM and Ctrl-C, wherever they come."""

import signal
import threading
import time

import pytest

from spark_scoring.cli import cli, main
from spark_scoring.cli.signals import interruptible


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_in_a_finalizer_is_not_lost(number: signal.Signals) -> None:
    class Freed:
        def __del__(self) -> None:
            signal.raise_signal(number)

    before, first = signal.getsignal(number), threading.Event()
    with pytest.raises(KeyboardInterrupt), interruptible(first.set) as told:
        Freed()
        time.sleep(10)

    assert told.by is number and first.is_set()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("number", "said"), [(signal.SIGTERM, "stopped by SIGTERM"), (signal.SIGINT, "interrupted")])
def test_an_error_on_the_way_out_hides_no_signal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals, said: str
) -> None:
    def command(**_: object) -> None:
        try:
            signal.raise_signal(number)
        finally:
            raise RuntimeError("the JVM does not answer")

    monkeypatch.setattr(cli, "main", command)
    with pytest.raises(SystemExit) as left:
        main(["check"])

    assert left.value.code == 1
    assert capsys.readouterr().err.startswith(f"error: {said}. ")
