"""The command line: one command a verb, a short table for people, `--json` for machines."""

from spark_scoring.cli.entry import cli, main

__all__ = ["cli", "main"]
