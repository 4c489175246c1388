"""Names of models and registries: read, checked and reached, without MLflow."""

import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from spark_scoring.errors import registry_unreachable, wrong_model_uri

PROBE_TIMEOUT_S = 10
LONGEST_REASON = 200
_REGISTERED = re.compile(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))")
_LOGGED = re.compile(r"runs:/[^/]+/.+|models:/m-[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class ModelUri:
    """Where a model lies: a folder, a logged model, or a registered name with an alias or a version."""

    text: str
    folder: Path | None = None
    name: str | None = None
    alias: str | None = None
    version: str | None = None


def parse_model_uri(text: str) -> ModelUri:
    """The parts of `models:/name@alias`, `models:/name/3`, `runs:/run_id/name` or a folder's path.

    Raises: ConfigError for anything else, a folder that does not exist included.
    """
    if _LOGGED.fullmatch(text):
        return ModelUri(text=text)
    if found := _REGISTERED.fullmatch(text):
        return ModelUri(text=text, name=found[1], alias=found[2], version=found[3])
    folder = Path(text.removeprefix("file://"))
    if not folder.is_dir():
        raise wrong_model_uri(text)
    return ModelUri(text=text, folder=folder)


def without_password(registry: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", registry)


def sqlite_file(registry: str) -> Path | None:
    """The database file of a `sqlite:///…` registry."""
    return Path(registry.removeprefix("sqlite:///")) if registry.startswith("sqlite:///") else None


def check_reachable(registry: str) -> None:
    """Ask once, before MLflow asks for minutes, and before it makes an empty database of a mistyped path.

    Raises: RunError if no such file is there or nothing answers.
    """
    file = sqlite_file(registry)
    if file is not None and not file.is_file():
        raise registry_unreachable(registry, reason="there is no such file")
    if registry.startswith(("http://", "https://")):
        _probe(registry)


def _probe(registry: str) -> None:
    try:
        with urllib.request.urlopen(f"{registry.rstrip('/')}/health", timeout=PROBE_TIMEOUT_S):
            pass
    except urllib.error.HTTPError:
        return  # it answers; whether it lets us in is for MLflow to find out
    except (OSError, ValueError) as error:
        raise registry_unreachable(without_password(registry), reason=str(error)) from None


def first_line(error: Exception) -> str:
    """What an error of a foreign library says, without its stack of causes."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…").rstrip(".")
