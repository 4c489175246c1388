#!/usr/bin/env bash
# Sets everything up and runs all checks: format, lint, types, layers, and the quick tests (20 minutes on two cores).
#   ./test.sh all                   the slow tests too
# With other arguments only pytest, with these (after `all`, their slow tests too):
#   ./test.sh faults                all fault tests, those that kill process after process too (up to an hour)
#   ./test.sh soak MINUTES [SEED]   faults at random for that long, then everything is counted
# A failed check does not stop the others; the exit code tells whether all of them held.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

"$root/tools/setup.sh" dev
cache="${SPARK_SCORING_CACHE:-$root/.cache}"
SPARK_SCORING_CACHE="$(cd "$cache" && pwd)"
export SPARK_SCORING_CACHE SPARK_SCORING_JARS="$SPARK_SCORING_CACHE/jars/spark"
export PYSPARK_PYTHON="$root/.venv/bin/python" SPARK_LOCAL_IP=127.0.0.1
unset SPARK_HOME SPARK_CONF_DIR PYSPARK_SUBMIT_ARGS PYTHONPATH # of another Spark: the tests bring their own
bin="$root/.venv/bin"

every="slow or not slow"
marked=()
case "${1:-}" in
    all) marked=(-m "$every") && shift ;;
    faults) exec "$bin/python" -m pytest -m "$every" "$root/tests/faults" "${@:2}" ;;
    soak)
        export SPARK_SCORING_SOAK_MINUTES="${2:?how many minutes}" SPARK_SCORING_SOAK_SEED="${3:-0}"
        exec "$bin/python" -m pytest -s "$root/tests/faults/soak.py"
        ;;
esac
if [ $# -gt 0 ]; then
    exec "$bin/python" -m pytest ${marked[@]+"${marked[@]}"} "$@"
fi

cd "$root"
failed=""
gate() {
    local name="$1"
    shift
    printf '== %s\n' "$name"
    if ! "$@"; then
        failed="$failed, $name"
        printf '== %s FAILED\n' "$name"
    fi
}

gate "format" "$bin/ruff" format --check --quiet .
gate "lint" "$bin/ruff" check --quiet .
gate "types" "$bin/mypy"
gate "layers" "$bin/lint-imports" --no-cache
gate "tests" "$bin/python" -m pytest ${marked[@]+"${marked[@]}"}

if [ -n "$failed" ]; then
    printf 'failed: %s\n' "${failed#, }"
    exit 1
fi
printf 'all checks hold\n'
