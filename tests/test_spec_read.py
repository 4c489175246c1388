from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_scoring.errors import ConfigError
from spark_scoring.spec.environ import expand
from spark_scoring.spec.read import Reader, dump_yaml, duration_text, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("false", False), ("True", "True"), ("on", "on"), ("yes", "yes"), ("n", "n"), ("off", "off"),
     ("1", 1), ("-3", -3), ("1_000", "1_000"), ("010", "010"), ("0x1f", "0x1f"), ("1:30", "1:30"), ("1.5", 1.5),
     ("1e3", 1000.0), ("2013-01-01", "2013-01-01"), ("null", None), ("~", None), ("", None), ("2h", "2h"),
     ("'1'", "1"), ("${A}/b", "${A}/b"), (".nan", ".nan"), ("=", "="), ("<<", "<<")],
)  # fmt: skip
def test_scalars(text: str, value: Any) -> None:
    assert parse_yaml(f"a: {text}", source="x") == {"a": value}


def test_a_bare_on_is_a_key_and_variables_stand_in_flow_mappings() -> None:
    assert parse_yaml("on: [a]\nb: {delta: ${DATA}/x, c: $${D}}", source="x") == {
        "on": ["a"],
        "b": {"delta": "${DATA}/x", "c": "$${D}"},
    }


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [("a: 1\nb: 2\na: 3", 3, "key 'a' stands here again, first on line 1"),
     ("x:\n  - {c: 1, c: 2}", 2, "key 'c' stands here again"), ("a: !!python/object:os.system {}", 1, "tag"),
     ("a: [1\n", 2, "expected ',' or ']'"), ("a: \x00", 1, "not allowed"), ("[1]: 2", 1, "a key must be plain text"),
     ("--- 1\n--- 2", 2, "another document"),
     ("a: 1\nb: !!int abc", 2, "the value is not of type int"), ("a: !!bool abc", 1, "of type bool"),
     ("a: !!timestamp abc", 1, "of type timestamp"), ("a: !!int ''", 1, "of type int"),
     (f"a: {'9' * 5000}", 1, "of type int")],
)  # fmt: skip
def test_yaml_errors_name_the_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, source="f.yaml")
    assert str(caught.value).startswith(f"f.yaml:{line}: ") and words in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4")
    for path in (tmp_path, tmp_path / "none.yaml", tmp_path / "latin.yaml"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_yaml(path)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Co"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="ascii")), inner),
)


@given(plain)
def test_what_is_dumped_is_read_back(data: Any) -> None:
    assert parse_yaml(dump_yaml(data), source="x") == data


def test_variables() -> None:
    reader = Reader(value={"a": ["${X}/b", "$${X}", 1], "c": "${X}${Y}"}, source="j")
    assert expand(reader, environ={"X": "1", "Y": "${X}"}) == {"a": ["1/b", "${X}", 1], "c": "1${X}"}
    with pytest.raises(ConfigError, match=r"j: a\[0\]: environment variable 'X' is not set"):
        expand(reader, environ={})
    assert expand(Reader(value=["$", "$X", "{$", "$${X"], source="j"), environ={}) == ["$", "$X", "{$", "${X"]
    with pytest.raises(ConfigError, match=r"j: a: '\$\{' begins the name of an environment variable"):
        expand(Reader(value={"a": "x/${X"}, source="j"), environ={"X": "1"})


@given(st.integers(1, 80_000), st.sampled_from(["s", "m", "h"]))
def test_durations_are_read_back(number: int, unit: str) -> None:
    length = Reader(value=f"{number}{unit}", source="x").duration()
    assert length == timedelta(**{{"s": "seconds", "m": "minutes", "h": "hours"}[unit]: number})
    assert Reader(value=duration_text(length), source="x").duration() == length


@pytest.mark.parametrize(
    "value", ["0s", "2", "h", "-1h", "1.5h", "2 h", "1w", "", 5, None, True, "99999999999d", "4000d"]
)
def test_no_duration(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"x: a\.b: .*duration"):
        Reader(value=value, source="x", path="a.b").duration()


def doubled(times: int) -> str:
    return "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, times))


@pytest.mark.parametrize(("text", "line"), [("a: 1\nb: &b [*b]", 2), ("&b {c: *b}", 1), (doubled(300), 16)])
def test_aliases_make_no_more_of_a_text_than_can_be_read(text: str, line: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, source="f.yaml")
    assert str(caught.value).startswith(f"f.yaml:{line}: not valid YAML: with its aliases written out this is more")


def test_aliases_are_read() -> None:
    assert parse_yaml("a: &a [1]\nb: {c: *a, d: *a}", source="x") == {"a": [1], "b": {"c": [1], "d": [1]}}
    assert len(parse_yaml(doubled(10), source="x")["a9"]) == 2
