"""A command run to its end, with what it says."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def run(
    *command: str | Path, cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **(environ or {})}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
