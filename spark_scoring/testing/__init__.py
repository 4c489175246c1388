"""Helpers for tests of pipelines built on this package."""

from spark_scoring.testing.broker import Acknowledged, KafkaBroker, Record, free_port, is_open, produce

__all__ = ["Acknowledged", "KafkaBroker", "Record", "free_port", "is_open", "produce"]
