#!/usr/bin/env bash
# Sets this clone up: `tools/setup.sh run` (what jobs need) or `tools/setup.sh dev` (and what the tests need).
# Finds Python and Java; the work itself is in install.py. Done already: 0.1 s, and says nothing.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

say() { printf 'setup: %s\n' "$*" >&2; }

is_new_enough() { "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local candidate without_venv=""
    for candidate in "$root/.venv/bin/python" ${SPARK_SCORING_PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        is_new_enough "$candidate" || continue
        if [ "$candidate" = "$root/.venv/bin/python" ] || "$candidate" -I -c 'import ensurepip, venv' 2>/dev/null; then
            printf '%s' "$candidate"
            return 0
        fi
        without_venv="$candidate"
    done
    if [ -n "$without_venv" ]; then
        say "$without_venv cannot make virtual environments (no ensurepip). Install that part of it"
        say "(Debian and Ubuntu: apt-get install python3-venv), or name another one: SPARK_SCORING_PYTHON=/path/to/python"
    else
        say "no Python >= 3.11 on the PATH. Install one, or name it: SPARK_SCORING_PYTHON=/path/to/python"
    fi
    return 1
}

check_java() {
    local java version
    java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
    version="$("$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)" || true
    if [ -z "$version" ]; then
        say "no Java at '$java'. Install Java >= 17 (a runtime is enough) and put it on the PATH or set JAVA_HOME"
        return 1
    fi
    if [ "$version" -lt 17 ]; then
        say "'$java' is Java $version, needed is >= 17. Put a newer one first on the PATH, or set JAVA_HOME to it"
        return 1
    fi
}

check_java
python="$(find_python)"
exec "$python" -I "$root/tools/install.py" "${1:-run}"
