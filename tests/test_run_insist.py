"""A write that meets another writer is made again, with pauses that grow, and not for ever."""

import pytest
from pyspark.errors import PySparkException

from spark_scoring.errors import RunError
from spark_scoring.io.delta_write import OvertakenError
from spark_scoring.run import insist


@pytest.mark.parametrize("losses", [0, 1, 9, 10])
def test_a_write_that_loses_is_made_again_ten_times(losses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(insist.time, "sleep", pauses.append)
    left = iter(range(losses))

    def attempt() -> str:
        if next(left, None) is not None:
            raise OvertakenError("DELTA_CONCURRENT_APPEND")
        return "written"

    if losses < 10:
        assert insist.insisting("late/a..b", attempt) == "written"
    else:
        with pytest.raises(RunError, match=r"late/a\.\.b: another writer .* 10 times\. Nothing .* --resume"):
            insist.insisting("late/a..b", attempt)
    assert len(pauses) == min(losses + 1, 10) and pauses[:2] == [0, 0][: len(pauses)]
    assert all(0.25 * n <= pause <= 0.5 * n for n, pause in enumerate(pauses[1:]))


def test_another_failure_is_told_at_once() -> None:
    def attempt() -> None:
        raise PySparkException("disk")

    with pytest.raises(PySparkException, match="disk"):
        insist.insisting("late/a..b", attempt)
