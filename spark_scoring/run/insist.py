"""Writes that are made again while another writer of the same table is faster."""

import logging
from collections.abc import Callable
from typing import TypeVar

from pyspark.errors import PySparkException

from spark_scoring.io import delta_write

log = logging.getLogger(__name__)
TRIES = 5

T = TypeVar("T")


def insisting(what: str, attempt: Callable[[], T]) -> T:
    """What the attempt returns, made again while another writer of the same table is faster."""
    for _ in range(TRIES - 1):
        try:
            return attempt()
        except PySparkException as error:
            if not delta_write.lost_race(error):
                raise
            log.warning("%s: another writer was faster, trying again", what)
    return attempt()
