"""Commands called as a user would, on a job written as YAML, and what they say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from spark_scoring.cli import main
from tests.world import World, job_mapping

DAYS = ("--from", "2013-09-01", "--to", "2013-09-03")
DROP = object()


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


class Caller:
    """Runs commands as a user would, in this process and on the session of the tests."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd

    def __call__(self, *words: str | Path) -> Said:
        self.capfd.readouterr()
        code = 0
        try:
            main([str(word) for word in words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = self.capfd.readouterr()
        return Said(code=code, out=out, err=err)

    def json(self, *words: str | Path) -> dict[str, Any]:
        """The one object that a command prints with `--json`."""
        said = self(*words, "--json")
        assert said.code == 0, said.err
        found: dict[str, Any] = json.loads(said.out)
        assert said.out.count("\n") == 1
        return found


def job_file(world: World, changes: Mapping[str, Any], *, name: str = "job.yaml") -> Path:
    """The job as YAML with changes by dotted path, or without what is `DROP`."""
    assert world.job.kafka is not None
    mapping = job_mapping(world.folder, name=world.job.name, servers=world.job.kafka.servers)
    mapping["registry"] = world.job.registry
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = mapping
        for parent in parents:
            place = place[parent]
        if value is DROP:
            del place[last]
        else:
            place[last] = value(world) if callable(value) else value
    file = world.folder / name
    file.write_text(yaml.safe_dump(mapping, sort_keys=False))
    return file


def tree(folder: Path) -> set[str]:
    """All files but the copies of models, which any command may fetch."""
    return {str(p) for p in folder.rglob("*") if p.is_file() and "spark-scoring-packages" not in p.parts}


def assert_refused(said: Said, *, code: int, message: str) -> None:
    lines = said.err.strip().splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert (said.code, len(errors), said.out) == (code, 1, ""), said.err
    assert message in errors[0]
    assert "Traceback" not in said.err and "\tat " not in said.err and "java." not in said.err
    assert all(line.startswith("error: ") or " WARNING " in line for line in lines), said.err
