"""Helpers for tests of pipelines built on this package."""

from spark_scoring.testing.broker import Acknowledged, KafkaBroker, Record, free_port, is_open, produce
from spark_scoring.testing.cuts import check_cuts
from spark_scoring.testing.frames import frame

__all__ = ["Acknowledged", "KafkaBroker", "Record", "check_cuts", "frame", "free_port", "is_open", "produce"]
