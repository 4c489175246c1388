"""What a new user starts with: the set-up, and what it says of what is missing."""

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.commands import run
from tests.conftest import HOME


@pytest.fixture(scope="session")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", HOME / "tools" / "install.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["install"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The set-up without anything that was set up."""
    for name in ("tools", "requirements"):
        shutil.copytree(HOME / name, tmp_path / "clone" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HOME / "pyproject.toml", tmp_path / "clone")
    return tmp_path / "clone"


def test_set_up_already_done_says_nothing() -> None:
    run(HOME / "tools" / "setup.sh", "dev")
    again = run(HOME / "tools" / "setup.sh", "run")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_failed_download_says_what_failed_and_what_to_do(clone: Path) -> None:
    environ = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(clone), "SPARK_SCORING_CACHE": str(clone / "cache")}
    done = run(clone / "tools" / "setup.sh", "run", environ=environ)
    assert done.returncode == 1
    assert re.search(r"setup: venv … \d+ s", done.stderr)
    assert "dependencies failed:" in done.stderr and "run the same command again" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_set_up_waits_for_the_first(clone: Path) -> None:
    (clone / ".cache").mkdir()
    environ = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(clone)}
    with (clone / ".cache" / "setup.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen([clone / "tools" / "setup.sh", "run"], env=environ, stderr=subprocess.PIPE, text=True)
        assert second.stderr is not None
        lines = [second.stderr.readline(), second.stderr.readline()]
        made_meanwhile = (clone / ".venv").exists()
    second.communicate(timeout=120)
    assert "waiting for it" in lines[1] and not made_meanwhile
    assert (clone / ".venv").exists()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"JAVA_HOME": "/nowhere"}, "no Java at '/nowhere/bin/java'. Install Java >= 17"),
        ({"SPARK_SCORING_PYTHON": "/nowhere"}, "no Python >= 3.11 on the PATH"),
    ],
)
def test_what_the_machine_lacks_is_named(clone: Path, environ: dict[str, str], message: str) -> None:
    done = run(clone / "tools" / "setup.sh", "run", environ=environ)
    assert done.returncode == 1 and message in done.stderr


def test_an_old_java_is_named(clone: Path) -> None:
    java = clone / "old" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    done = run(clone / "tools" / "setup.sh", "run", environ={"JAVA_HOME": str(clone / "old")})
    assert done.returncode == 1 and "is Java 11, needed is >= 17" in done.stderr


def test_a_changed_jar_is_refused(install: ModuleType, tmp_path: Path) -> None:
    jars = Path(os.environ.get("SPARK_SCORING_CACHE", HOME / ".cache")) / "jars" / "spark"
    shutil.copytree(jars, tmp_path / "spark")
    install.check_jars("spark", tmp_path / "spark")
    changed = next((tmp_path / "spark").glob("commons-pool2-*.jar"))
    changed.write_bytes(changed.read_bytes() + b" ")
    (tmp_path / "spark" / "other.jar").touch()
    with pytest.raises(install.SetupError, match=r"jars\.sha256 says: commons-pool2-.*\.jar, other\.jar"):
        install.check_jars("spark", tmp_path / "spark")


def test_an_interrupted_stage_is_done_again_and_a_done_one_is_not(install: ModuleType, tmp_path: Path) -> None:
    calls: list[str] = []

    def make() -> None:
        calls.append("made")
        if len(calls) == 1:
            raise OSError("the cable was pulled")

    stage = install.Stage(name="thing", place=tmp_path, needs=tmp_path, key="k", make=make)
    with pytest.raises(install.SetupError, match="thing failed:\nthe cable was pulled"):
        stage.ensure()
    stage.ensure()
    stage.ensure()
    assert len(calls) == 2


def test_pip_settings_are_handed_on(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "global.index-url='https://mirror.test/simple'",
        ":env:.find-links='/a /b'",
        "global.timeout='9'",
    ]
    monkeypatch.setattr(install, "run", lambda *_: "\n".join(lines))
    for name in ("UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_INDEX_STRATEGY"):
        monkeypatch.delenv(name, raising=False)
    assert install.uv_settings() == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://mirror.test/simple",
        "UV_FIND_LINKS": "/a,/b",
    }


def test_the_locks_name_no_host() -> None:
    locks = [path for path in (HOME / "requirements").iterdir() if path.suffix in (".txt", ".in", ".xml")]
    assert len(locks) >= 8
    assert not [path.name for path in locks if "://" in path.read_text()]
