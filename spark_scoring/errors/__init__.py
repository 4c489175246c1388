# ruff: noqa: F403  every constructor is meant to be `errors.name`, whichever file it lives in
"""Every error this package raises on purpose: one constructor for each kind of mistake.

A message says where, what was given, what there is, and what to do; never a secret or a row's value.
"""

from spark_scoring.errors.base import *
from spark_scoring.errors.config import *
from spark_scoring.errors.lane import *
from spark_scoring.errors.models import *
from spark_scoring.errors.registry import *
from spark_scoring.errors.runs import *
from spark_scoring.errors.stream import *
from spark_scoring.errors.wide import *
