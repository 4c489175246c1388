#!/usr/bin/env bash
# Runs a job on Spark, after setting everything up when used first. `./spark-submit.sh --help` says how.
#
# Python is started first and starts Spark's driver through spark-submit (as `pyspark` does). The other way round, a
# SIGTERM ends the JVM at once and leaves Python with a broken connection in the middle of a micro-batch.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

list_jobs() {
    local file
    for file in "$root"/jobs/*.py; do
        if [ -e "$file" ]; then printf '    %s\n' "$(basename "$file" .py)"; fi
    done
}

usage() {
    cat <<TEXT
usage: ./spark-submit.sh JOB [ARGUMENT ...]

Runs jobs/JOB.py (or the file JOB, when it ends in .py) on Spark. The exit code is the job's.
Relative paths among the arguments are relative to where you are. Jobs:
$(list_jobs)
Environment:
    SPARK_MASTER         where to run, default local[*,4]; for example spark://host:7077
    SPARK_SUBMIT_ARGS    more options for spark-submit, for example "--driver-memory 8g --conf name=value"
    SPARK_SCORING_CACHE  where downloads are kept, default .cache beside this script
    SPARK_SCORING_PYTHON the Python (>= 3.11) that the virtual environment is made with

example: SPARK_MASTER='local[2,4]' ./spark-submit.sh score conf/flights/job.yaml --from 2013-09-01 --to 2013-10-01
TEXT
}

case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    "") usage >&2; exit 2 ;;
    *.py) job="$1" ;;
    *) job="$root/jobs/$1.py" ;;
esac
if [ ! -f "$job" ]; then
    { printf "no job '%s'. There are:\n" "$1"; list_jobs; } >&2
    exit 2
fi
shift

"$root/tools/setup.sh" run
python="$root/.venv/bin/python"
cache="${SPARK_SCORING_CACHE:-$root/.cache}"
cache="$(cd "$cache" && pwd)"
master="${SPARK_MASTER:-local[*,4]}"

jars=""
for jar in "$cache"/jars/spark/*.jar; do
    jars="${jars:+$jars,}$jar"
done

case "$master" in
    local* | spark://localhost:* | spark://127.0.0.1:*)
        export PYSPARK_PYTHON="$python"
        export SPARK_LOCAL_IP=127.0.0.1 # every port of the driver, its page included, is bound to this address
        ;;
    *) export PYSPARK_PYTHON="${PYSPARK_PYTHON:-$python}" ;; # the workers may have theirs elsewhere
esac
export PYSPARK_DRIVER_PYTHON="$python"
export SPARK_CONF_DIR="$root/conf" # log4j2.properties and spark-env.sh are found here
export SPARK_SCORING_HOME="$root" SPARK_SCORING_CACHE="$cache"
SPARK_HOME="$(echo "$root"/.venv/lib/python3.*/site-packages/pyspark)"
export SPARK_HOME
PYSPARK_SUBMIT_ARGS="$(printf '%q ' --master "$master" --properties-file "$root/conf/spark-defaults.conf" --jars "$jars")"
export PYSPARK_SUBMIT_ARGS="$PYSPARK_SUBMIT_ARGS ${SPARK_SUBMIT_ARGS:-} pyspark-shell"
exec "$python" "$job" "$@"
