"""`spark-scoring score` for spark-submit: ./spark-submit.sh score JOB [options]."""

import sys

from spark_scoring.cli import main

if __name__ == "__main__":
    main(["score", *sys.argv[1:]])
