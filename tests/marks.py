"""Which cases are left to `./test.sh all`."""

from typing import Any

import pytest


def slow(*values: object) -> Any:
    """A case beside a quicker one that shows the same."""
    return pytest.param(*values, marks=pytest.mark.slow)
