"""`python -m spark_scoring.cli`: the command line without its script."""

from spark_scoring.cli import main

if __name__ == "__main__":
    main()
