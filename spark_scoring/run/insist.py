"""Writes that are made again while another writer of the same table is faster."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from pyspark.errors import PySparkException

from spark_scoring import errors
from spark_scoring.io import delta_write

log = logging.getLogger(__name__)
TRIES = 10
# grows with each try that is lost: two writers that fall into step get out of it
PAUSE_S = 0.5

T = TypeVar("T")


def insisting(what: str, attempt: Callable[[], T]) -> T:
    """What the attempt returns, made again while another writer of the same table is faster.

    Raises: RunError: it was so each time.
    """
    lost: PySparkException | None = None
    for pauses in range(-1, TRIES - 1):
        # the second try comes at once: most writers are met only once
        time.sleep(max(pauses, 0) * PAUSE_S * random.uniform(0.5, 1))
        try:
            return attempt()
        except PySparkException as error:
            if not delta_write.lost_race(error):
                raise
            log.warning("%s: another writer was faster, %d of %d tries", what, pauses + 2, TRIES)
            lost = error
    raise errors.always_slower(what, tries=TRIES) from lost
