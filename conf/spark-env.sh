# Read by Spark's start script in the shell that then becomes the JVM, and not only for drivers: hence the test.
# spark-submit.sh makes Python the driver's parent process. The driver's JVM must outlive a signal that hits the whole
# process group (Ctrl-C, a service manager, `timeout`), so that Python can finish the micro-batch it is in: Spark lets
# it ignore Ctrl-C by itself, the other two are ignored here. When Python is gone, the JVM reads the end of its
# standard input and leaves.
if [ "${1:-}" = org.apache.spark.deploy.SparkSubmit ] && [ "${@: -1}" = pyspark-shell ]; then
    trap '' TERM HUP
    # printed by the JVM itself at each start, about a module that Spark asks for; no option silences it
    exec 2> >(exec grep --line-buffered -v '^WARNING: Using incubator modules: ' >&2)
fi
