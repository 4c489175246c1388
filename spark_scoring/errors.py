"""Every error a user can meet: what was given, what there is, what to do."""


class SparkScoringError(Exception):
    """The root of all errors of this package; `exit_code` is what the command ends with."""

    exit_code = 1


class ConfigError(SparkScoringError):
    """A file or an argument is wrong; nothing was started."""

    exit_code = 2


class RunError(SparkScoringError):
    """A run could not go on, or a check did not hold."""
