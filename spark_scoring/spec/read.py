"""YAML text to plain data, and a reader over a mapping that knows its file and path."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import yaml

from spark_scoring.errors import (
    ConfigError,
    bad_value,
    bad_yaml,
    cut,
    duplicate_key,
    missing_key,
    unknown_key,
    unreadable_file,
    wrong_type,
)
from spark_scoring.spec.shown import HIDDEN, SECRET, kind_of, shown

T = TypeVar("T")
D = TypeVar("D")

# `{delta: ${DATA}/x}` is no YAML, its braces mean a mapping: two private characters stand for them meanwhile.
_OPEN, _CLOSE = "\ue000", "\ue001"
MOST_VALUES = 100_000
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _masked(text: str) -> str:
    return re.sub(r"\$\{([^{}\n]*)\}", rf"{_OPEN}\1{_CLOSE}", text)


def _unmasked(text: str) -> str:
    return text.replace(_OPEN, "${").replace(_CLOSE, "}")


class _Loader(yaml.SafeLoader):
    """YAML's core types alone: `on`, `yes`, `1:30`, `0o7`, `1_000` and dates stay text."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError, OverflowError):
            # PyYAML's own constructors of a tag that does not fit, as in `!!int abc`
            problem = f"the value is not of type {node.tag.rsplit(':', 1)[-1]}"
            raise bad_yaml(self.name, line=node.start_mark.line + 1, problem=problem) from None

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        value = super().construct_scalar(node)
        return _unmasked(value) if isinstance(value, str) else value

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  PyYAML's own attribute


_FLOAT = r"[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$"
for _tag, _pattern, _first in (
    ("bool", r"(?:true|false)$", "tf"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
    ("null", r"(?:~|null|)$", ["~", "n", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key, _ in node.value:
        name, line = loader.construct_object(key, deep=True), key.start_mark.line + 1
        if isinstance(name, dict | list):
            raise bad_yaml(loader.name, line=line, problem="a key must be plain text")
        if name in seen:
            raise duplicate_key(loader.name, line=line, key=str(name), first_line=seen[name])
        seen[name] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def _written_out(node: yaml.Node, known: dict[int, float], *, source: str) -> float:
    """How many values the node is with every alias written out; `known`: of each node that was met.

    Raises: ConfigError: too many to be read, or without end.
    """
    if id(node) not in known:
        known[id(node)] = math.inf  # meets itself before it is counted: an alias of itself
        below = chain.from_iterable(node.value) if isinstance(node, yaml.MappingNode) else node.value
        inner = () if isinstance(node, yaml.ScalarNode) else below
        count = known[id(node)] = 1 + sum(_written_out(one, known, source=source) for one in inner)
        if count > MOST_VALUES:
            problem = f"with its aliases written out this is more than {MOST_VALUES} values"
            raise bad_yaml(source, line=node.start_mark.line + 1, problem=problem)
    return known[id(node)]


class _Dumper(yaml.SafeDumper):
    """Quotes what this loader, or a YAML 1.1 one, would not read back as the same text."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(_FLOAT), list("-+.0123456789"))


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    # PyYAML writes these line breaks plain and reads them back as others
    style = '"' if re.search("[\x85\u2028\u2029\ufeff]", value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump_yaml(data: Any) -> str:
    """The data as YAML text, keys in their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def parse_yaml(text: str, *, source: str) -> Any:
    """The data in a YAML text: dicts, lists, text, numbers, true, false and null.

    `${NAME}` stays text wherever it stands.

    Raises: ConfigError with file and line.
    """
    try:
        loader = _Loader(_masked(text))
        loader.name = source
        node = loader.get_single_node()
        if node is None:
            return None
        _written_out(node, {}, source=source)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise bad_yaml(source, line=mark.line + 1 if mark else 1, problem=_unmasked(str(error.problem))) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise bad_yaml(source, line=line, problem=f"character {error.character!r} is not allowed") from None
    except RecursionError:
        raise bad_yaml(source, line=1, problem="it is nested too deep") from None


def read_yaml(path: str | Path) -> Any:
    """The data in a YAML file.

    Raises: ConfigError if the file cannot be read or is not YAML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise unreadable_file(str(path), reason=f"byte {error.start} is not UTF-8") from None
    except OSError as error:
        raise unreadable_file(str(path), reason=(error.strerror or str(error)).lower()) from None
    return parse_yaml(text, source=str(path))


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One value of a configuration with its place; every refusal names file and path."""

    value: Any
    source: str
    path: str = ""

    @property
    def where(self) -> str:
        return f"{self.source}: {self.path}" if self.path else self.source

    def _at(self, value: Any, step: str) -> "Reader":
        step = cut(step)
        path = f"{self.path}{step}" if self.path else step.removeprefix(".")
        return Reader(value=value, source=self.source, path=path)

    @property
    def shown(self) -> str:
        """The value as a message may quote it: variables by their names, and nothing of what may be a secret."""
        return HIDDEN if SECRET.fullmatch(self.path) else shown(self.value)

    def refuse(self, expected: str) -> ConfigError:
        hidden = isinstance(self.value, str | int | float) and SECRET.fullmatch(self.path)
        return wrong_type(self.where, given=HIDDEN if hidden else kind_of(self.value), expected=expected)

    def keys(self, *allowed: str) -> tuple[str, ...]:
        """The keys of the mapping, all of them allowed."""
        names = tuple(name for name, _ in self.items())
        for name in names:
            if name not in allowed:
                raise unknown_key(self._at(None, f".{name}").where, given=name, allowed=allowed)
        return names

    def items(self, expected: str = "a mapping") -> tuple[tuple[str, "Reader"], ...]:
        """The pairs of the mapping in their order; keys must be text."""
        if not isinstance(self.value, Mapping):
            raise self.refuse(expected)
        for name in self.value:
            if not isinstance(name, str):
                raise wrong_type(self.where, given=kind_of(name), expected="text as a key (quote it)")
        return tuple((name, self._at(value, f".{name}")) for name, value in self.value.items())

    def list(self, expected: str = "a list") -> tuple["Reader", ...]:
        if not isinstance(self.value, list | tuple):
            raise self.refuse(expected)
        return tuple(self._at(value, f"[{index}]") for index, value in enumerate(self.value))

    def need(self, key: str, meaning: str) -> "Reader":
        """The value of a key that must be there."""
        found = dict(self.items()).get(key)
        if found is None:
            given = tuple(name for name, _ in self.items())
            raise missing_key(self.where, key=key, given=given, meaning=meaning)
        return found

    def maybe(self, key: str, read: Callable[["Reader"], T], default: D) -> T | D:
        """What `read` makes of the key's value, or the default where the key is absent."""
        found = dict(self.items()).get(key)
        return default if found is None else read(found)

    def text(self, expected: str = "text") -> str:
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.refuse(expected)
        return str(self.value)

    def place(self) -> str:
        """A path."""
        path = self.text("a path")
        if "\0" in path:
            given = self.shown.replace("\0", "\\0")
            raise bad_value(self.where, given=given, allowed="a path, which holds no character NUL")
        if re.match(r"[^/]*:(?!/)", path):
            # Hadoop takes what stands before the ':' for a scheme
            raise bad_value(self.where, given=self.shown, allowed="a path that begins with /, ./ or a scheme and /")
        return path

    def bool(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.refuse("true or false")
        return self.value

    def int(self, *, least: int) -> int:
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.refuse("a whole number")
        if self.value < least:
            raise bad_value(self.where, given=self.shown, allowed=f"a whole number of at least {least}")
        return self.value

    def share(self) -> float:
        """A number above 0 and at most 1."""
        return self._number(lambda share: 0 < share <= 1, allowed="a number above 0 and at most 1")

    def most_share(self) -> float:
        """A share that can be exceeded: a number of at least 0 and below 1."""
        return self._number(lambda share: 0 <= share < 1, allowed="a number of at least 0 and below 1")

    def _number(self, fits: Callable[[float], object], *, allowed: str) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.refuse(allowed)
        if not fits(self.value):
            raise bad_value(self.where, given=self.shown, allowed=allowed)
        return float(self.value)

    def one_of(self, *allowed: str) -> str:
        text = self.text(f"one of {', '.join(allowed)}")
        if text not in allowed:
            raise bad_value(self.where, given=self.shown, allowed=", ".join(allowed), known=allowed)
        return text

    def instant(self) -> datetime:
        """An ISO 8601 instant; without a zone it is UTC."""
        expected = "an instant in ISO 8601, as in 2013-01-01 or 2013-01-01T06:00:00Z"
        try:
            found = self.value if isinstance(self.value, datetime) else datetime.fromisoformat(self.text(expected))
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except ValueError:
            raise self.refuse(expected) from None
        except OverflowError:
            raise bad_value(self.where, given=self.shown, allowed="an instant of the years 1 to 9999 in UTC") from None

    def duration(self) -> timedelta:
        """`<n>` and s, m, h or d, above zero."""
        expected = "a duration like 90s, 15m, 2h or 7d"
        match = re.fullmatch(r"([0-9]{1,9})([smhd])", self.text(expected))
        if not match or int(match[1]) == 0 or int(match[1]) * SECONDS[match[2]] > 3650 * 86400:
            raise bad_value(self.where, given=self.shown, allowed=f"{expected}, above zero and at most 3650d")
        return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


def duration_text(length: timedelta) -> str:
    """The shortest way to write a duration: 7200 seconds are '2h'."""
    seconds = int(length.total_seconds())
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % SECONDS[unit] == 0)
    return f"{seconds // SECONDS[unit]}{unit}"
