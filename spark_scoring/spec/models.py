"""Models as a job names them: which, in which role, and whose code may run."""

import re
from dataclasses import dataclass

from spark_scoring.errors import ConfigError, bad_value, missing_key
from spark_scoring.spec.read import Reader

RUNTIMES = ("arrow", "compiled")
SHARE = "its share of the traffic, as in {model: models:/flight_delay@challenger, share: 0.1}"


@dataclass(frozen=True, kw_only=True)
class ModelRef:
    """A model in a role: champion, challenger (with its share of the traffic) or shadow.

    `runtime`: `arrow` or `compiled` where the job asks for one; None: compiled where the model can be.
    """

    role: str
    uri: str
    share: float | None = None
    runtime: str | None = None


def without_share(where: str, *, given: tuple[str, ...]) -> ConfigError:
    """A challenger that would get no traffic."""
    return missing_key(where, key="share", given=given, meaning=SHARE)


def _model(reader: Reader, *, role: str) -> ModelRef:
    if isinstance(reader.value, str):
        uri = _uri(reader)
        if role == "challenger":
            raise without_share(reader.where, given=("model",))
        return ModelRef(role=role, uri=uri)
    allowed = ("model", "share", "runtime") if role == "challenger" else ("model", "runtime")
    reader.keys(*allowed)
    uri = _uri(reader.need("model", "a model URI, as in models:/flight_delay@champion"))
    share = reader.need("share", SHARE).share() if role == "challenger" else None
    runtime = reader.maybe("runtime", lambda found: found.one_of(*RUNTIMES), None)
    return ModelRef(role=role, uri=uri, share=share, runtime=runtime)


def _uri(reader: Reader) -> str:
    expected = "a model URI, as in models:/flight_delay@champion or models:/flight_delay/7"
    uri = reader.text(expected)
    if not re.fullmatch(r"models:/[^/@]+(@[^/@]+|/[0-9]+)", uri):
        raise bad_value(reader.where, given=reader.shown, allowed=expected)
    return uri


def read_models(reader: Reader) -> tuple[ModelRef, ...]:
    """The models of `models:`, the champion first."""
    reader.keys("champion", "challenger", "shadow")
    champion = _model(reader.need("champion", "a model URI"), role="champion")
    challenger = reader.maybe("challenger", lambda found: _model(found, role="challenger"), None)
    shadows = reader.maybe(
        "shadow",
        lambda found: tuple(_model(item, role="shadow") for item in found.list("a list of models")),
        (),
    )
    return (champion, *((challenger,) if challenger else ()), *shadows)


def read_trust(reader: Reader) -> tuple[str, ...]:
    """The models of `trust:`."""
    expected = "a list of model URIs or digests (32 digits or more) whose code may run"
    return tuple(_trusted(item) for item in reader.list(expected))


def _trusted(reader: Reader) -> str:
    allowed = "a model URI, as in models:/flight_delay/7, or the first 32 to 64 digits of a digest"
    given = reader.text(allowed)
    if not (re.fullmatch(r"[0-9a-f]{32,64}", given) or "/" in given):
        raise bad_value(reader.where, given=reader.shown, allowed=allowed)
    return given
