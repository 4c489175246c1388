"""`spark-scoring stream` for spark-submit: ./spark-submit.sh stream JOB [options]."""

import sys

from spark_scoring.cli import main

if __name__ == "__main__":
    main(["stream", *sys.argv[1:]])
