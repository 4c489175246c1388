"""The wide table: rows plus the columns of every step, as one plan without a job."""

from spark_scoring.wide.explain import StepStrategy, strategies
from spark_scoring.wide.transform import transform

__all__ = ["StepStrategy", "strategies", "transform"]
