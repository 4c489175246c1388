#!/usr/bin/env bash
# Writes the locks anew from pyproject.toml and the *.in files (newest versions allowed there). Needs one set-up before it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lock() {
    .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --no-header "$@"
}

lock requirements/build.in --output-file requirements/build.txt
lock pyproject.toml --all-extras --constraints requirements/build.txt --output-file requirements/dev.txt
lock pyproject.toml --extra demo --constraints requirements/dev.txt --output-file requirements/run.txt
lock requirements/bench.in --constraints requirements/dev.txt --output-file requirements/bench.txt
lock requirements/data.in --no-deps --output-file requirements/data.txt
