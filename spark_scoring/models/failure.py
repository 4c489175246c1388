"""Why a call of a model gave nothing: a reason code and a detail that never holds a value."""

import signal

from spark_scoring.models.contract import FeatureError


class ModelFailure(Exception):
    """The model raised, in this process or in its own."""

    def __init__(self, *, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class ModelCrash(ModelFailure):
    """The process of the model ended during the call, or was ended because no answer came."""

    def __init__(self, detail: str) -> None:
        super().__init__(reason="MODEL_CRASH", detail=detail)


class ModelGivenUp(ModelCrash):
    """The model is not asked any more; there is no use in asking for fewer rows."""


def failure_of(error: Exception) -> ModelFailure:
    """The failure behind whatever a model or its feature code raised."""
    if isinstance(error, ModelFailure):
        return error
    if isinstance(error, FeatureError):
        return ModelFailure(reason="FEATURE", detail=str(error))
    # the message of a foreign error may hold values of the row
    return ModelFailure(reason="MODEL", detail=type(error).__name__)


def ended(code: int) -> str:
    """How a process ended, by its exit code as `subprocess` gives it."""
    if code >= 0:
        return f"the process ended with exit code {code}"
    try:
        return f"the process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"the process was ended by signal {-code}"
