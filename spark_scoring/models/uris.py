"""Names of models and registries: read, checked and reached, without MLflow."""

import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from spark_scoring.errors import registry_unreachable, wrong_model_uri

PROBE_TIMEOUT_S = 10
LONGEST_REASON = 200
SHORTEST_SECRET = 2
_REGISTERED = re.compile(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))")
_SHOWN_SCHEME = re.compile(r"sqlite|file|https?|(postgresql|mysql|mssql)(\+\w+)?")
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


def is_registered(text: str) -> bool:
    """Whether it names a registered model, `models:/name@alias` or `models:/name/3`."""
    return _REGISTERED.fullmatch(text) is not None


def without_password(registry: str) -> str:
    """The registry for a message, without credentials: its scheme alone where some may stand anywhere.

    A password may hold '@' or '/' where they should be escaped: the last '@' counts.
    """
    scheme, found, rest = registry.partition("://")
    place, asked, more = rest.partition("?")
    if not found:
        return registry
    if not _SHOWN_SCHEME.fullmatch(scheme) or "@" in more:
        return f"{scheme}://***"
    place = f"***@{place.rpartition('@')[2]}" if "@" in place else place
    return f"{scheme}://{place}{'?***' if asked else ''}"


def without_secrets(text: str, registry: str) -> str:
    """What a foreign library says of a registry, without the credentials in the registry's URI."""
    text = re.sub(r"://[^\s'\"]*@", "://***@", text.replace(registry, without_password(registry)))
    given = re.findall(r"://(?:[^:@/]*:)?(.*)@", registry, re.DOTALL) + re.findall(r"[?&;][^=&;]*=([^&;]+)", registry)
    if not _SHOWN_SCHEME.fullmatch(registry.partition("://")[0]):
        given.append(registry.partition("://")[2])
    # a library that takes a '@' or '/' in a password for the end of it names a part
    parts = {part for one in given for part in (one, *re.split("[:/@?#]", one)) if len(part) >= SHORTEST_SECRET}
    for part in sorted(parts | {urllib.parse.unquote(part) for part in parts}, key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def sqlite_file(registry: str) -> Path | None:
    """The database file of a `sqlite:///…` registry."""
    return Path(registry.removeprefix("sqlite:///")) if registry.startswith("sqlite:///") else None


def check_reachable(registry: str) -> None:
    """Ask once, before MLflow asks for minutes, and before it makes an empty database of a mistyped path.

    Raises: RunError if no such file is there or nothing answers.
    """
    file = sqlite_file(registry)
    if file is not None and not file.is_file():
        raise registry_unreachable(without_password(registry), reason="there is no such file")
    if registry.startswith(("http://", "https://")):
        _probe(registry)


def _probe(registry: str) -> None:
    server = re.sub(r"//[^/?#]*@", "//", re.split("[?#]", registry)[0])  # urllib takes no credentials
    try:
        with urllib.request.urlopen(f"{server.rstrip('/')}/health", timeout=PROBE_TIMEOUT_S):
            pass
    except urllib.error.HTTPError:
        return  # it answers; whether it lets us in is for MLflow to find out
    except (OSError, ValueError, HTTPException) as error:
        raise registry_unreachable(without_password(registry), reason=without_secrets(str(error), registry)) from None


def first_line(error: Exception, *, registry: str = "") -> str:
    """What an error of a foreign library says, without its stack of causes and the registry's credentials."""
    text = without_secrets(str(error), registry) if registry else str(error)
    line = (text.strip().splitlines() or [type(error).__name__])[0]
    return (line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…").rstrip(".")
