"""What the documents and example files say is true: blocks run, commands parse, links lead somewhere."""

import ast
import doctest
import importlib
import pkgutil
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

import spark_scoring
from spark_scoring import Job, WideTable
from spark_scoring.cli import cli
from spark_scoring.run import session
from spark_scoring.spec.job import check_job_against_wide
from spark_scoring.spec.read import parse_yaml
from tests.conftest import HOME, SETTINGS

DOCUMENTS = [HOME / "README.md", HOME / "CHANGELOG.md", *sorted((HOME / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
INLINE = re.compile(r"`((?:spark-scoring|\./spark-submit\.sh|\./test\.sh) [^`]+)`")
COMMAND = re.compile(r"(spark-scoring|spark-submit\.sh|test\.sh)(?=\s)(.*)")
LANGUAGES = {"yaml", "python", "bash", "text"}
ELSEWHERE = "# needs Airflow\n"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block: where it stands, its language and text."""

    place: str
    language: str
    text: str


def blocks(*languages: str, documents: list[Path] = DOCUMENTS) -> list[Block]:
    found = []
    for path in documents:
        text = path.read_text()
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            block = Block(place=f"{path.relative_to(HOME)}:{line}", language=match[1], text=match[2])
            found += [block] if not languages or block.language in languages else []
    return found


def commands() -> list[tuple[str, str]]:
    """(place, command) of every line of a bash block and of every command inside a sentence or table."""
    found = [
        (block.place, line) for block in blocks("bash") for line in block.text.replace("\\\n", " ").splitlines() if line
    ]
    for path in DOCUMENTS:
        prose = FENCE.sub("", path.read_text())
        found += [(path.name, command) for command in INLINE.findall(prose)]
    for block in blocks("python"):
        if block.text.startswith(ELSEWHERE):
            values = [node.value for node in ast.walk(ast.parse(block.text)) if isinstance(node, ast.Constant)]
            texts = [str(value) for value in values if "spark-submit.sh" in str(value)]
            found += [(block.place, re.sub(r"\{\{.*?\}\}", "2013-09-01", text)) for text in texts]
    return found


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The environment that the examples are written for."""
    found = {"DATA": str(tmp_path), "KAFKA": "127.0.0.1:1"}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(HOME)
    return found


def test_every_block_is_of_a_language_that_is_tested() -> None:
    assert {block.place: block.language for block in blocks() if block.language not in LANGUAGES} == {}


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.place)
def test_a_yaml_block_is_the_file_it_names(block: Block, surroundings: dict[str, str]) -> None:
    named, _, rest = block.text.partition("\n")
    file = HOME / named.removeprefix("# ")
    assert rest == file.read_text()
    mapping = parse_yaml(rest, source=block.place)
    if "steps" in mapping:
        assert WideTable.unpack(mapping) == WideTable.load(file)
    else:
        assert Job.unpack(mapping, surroundings) == Job.load(file, surroundings)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_run_in_their_order(
    document: Path, surroundings: dict[str, str], request: pytest.FixtureRequest
) -> None:
    python = [block for block in blocks("python", documents=[document]) if not block.text.startswith(ELSEWHERE)]
    names: dict[str, Any] = {"__name__": "document"}
    if any("spark." in block.text for block in python):
        names["spark"] = request.getfixturevalue("spark")
    for block in python:
        exec(compile(block.text, block.place, "exec"), names)


@pytest.mark.parametrize(("place", "command"), commands())
def test_a_command_exists_with_these_options(place: str, command: str) -> None:
    found = COMMAND.search(f"{command} ")
    if found is None:
        assert command.startswith("export "), f"{place}: no command of ours: {command}"
        return
    words = shlex.split(found[2], comments=True)
    if found[1] == "test.sh":
        named = words[:1] in (["all"], ["faults"]) or (words[:1] == ["soak"] and words[1].isdigit())
        assert named or [word for word in words if not (HOME / word).exists()] == []
        return
    if found[1] == "spark-submit.sh":
        assert (HOME / "jobs" / f"{words[0]}.py").is_file()
    parse(job_command(words[0]), words)


def job_command(name: str) -> click.Command:
    if name == "demo":
        from jobs import demo

        return demo.demo
    return cli.commands[name]


def parse(command: click.Command, words: list[str]) -> None:
    """Click's own parsing of the words, without running anything: raises UsageError for a wrong one."""
    with command.make_context(words[0], words[1:], parent=click.Context(cli, obj=False)):
        pass


@pytest.mark.parametrize("words", [["score", "job.yaml"], ["score", "job.yaml", "--form", "2013-09-01"]])
def test_the_check_of_commands_sees_a_wrong_one(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        parse(cli.commands[words[0]], words)


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_a_command_is_in_the_readme_and_its_help_has_an_example_that_parses(name: str) -> None:
    text = cli.commands[name].help or ""
    example = " ".join(text.partition("Example:")[2].replace("\\\n", " ").split())
    assert f"| `{name}` |" in (HOME / "README.md").read_text()
    parse(cli.commands[name], shlex.split(example)[1:])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(FENCE.sub("", document.read_text()))]
    local = [target for target in targets if target and not target.startswith("https://")]
    assert [target for target in local if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("name", ["job", "live", "training"])
def test_an_example_job_has_all_that_its_wide_table_needs(name: str, surroundings: dict[str, str]) -> None:
    job = Job.load(HOME / "conf" / "flights" / f"{name}.yaml", surroundings)
    wide = WideTable.load(HOME / "conf" / "flights" / "wide.yaml")
    check_job_against_wide(job, wide)
    assert {table.name for table in job.tables} == {table.name for table in wide.tables}


def test_every_example_file_is_tested() -> None:
    tested = {"job.yaml", "live.yaml", "training.yaml", "wide.yaml"}
    assert {path.name for path in (HOME / "conf").rglob("*.yaml")} == tested


def spark_defaults() -> dict[str, str]:
    lines = (HOME / "conf" / "spark-defaults.conf").read_text().splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return {name: value.strip() for name, value in pairs}


@pytest.mark.parametrize(
    "settings",
    # the tests' frames are small, so they set fewer shuffle partitions
    [
        pytest.param({**session.LOCAL, **session.STATIC, **session.RUNTIME}, id="session"),
        pytest.param({n: v for n, v in SETTINGS.items() if n != "spark.sql.shuffle.partitions"}, id="tests"),
    ],
)
def test_a_setting_has_one_value_wherever_it_stands(settings: dict[str, str]) -> None:
    given = spark_defaults()
    both = given.keys() & settings.keys()
    assert {name: given[name] for name in both} == {name: settings[name] for name in both}
    assert session.STATIC.keys() | session.RUNTIME.keys() <= given.keys() & SETTINGS.keys()


def test_examples_in_docstrings_hold() -> None:
    names = [found.name for found in pkgutil.walk_packages(spark_scoring.__path__, "spark_scoring.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    assert [(module.__name__, failed) for module in modules if (failed := doctest.testmod(module).failed)] == []


def without_encoding(call: ast.Call) -> bool:
    """Whether a file is read or written as the locale says."""
    name, words = call.func.attr if isinstance(call.func, ast.Attribute) else "", {word.arg for word in call.keywords}
    first = call.args[0] if call.args else ast.Constant("r")
    mode = first.value if isinstance(first, ast.Constant) else None
    texts = {"read_text": not call.args, "write_text": len(call.args) == 1, "open": mode in ("r", "w", "a", "x")}
    return texts.get(name, False) and "encoding" not in words


def test_every_text_file_is_utf_8_whatever_the_locale() -> None:
    files = [
        file for folder in ("spark_scoring", "jobs", "tools", "benchmarks") for file in (HOME / folder).rglob("*.py")
    ]
    calls = [(file, node) for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    found = [
        f"{file.name}:{node.lineno}" for file, node in calls if isinstance(node, ast.Call) and without_encoding(node)
    ]
    assert found == []
