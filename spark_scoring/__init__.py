"""Batch and streaming scoring on Spark: wide table, features and model are one versioned package."""

from spark_scoring.errors import SparkScoringError
from spark_scoring.models.api import score_rows
from spark_scoring.models.flavor import load_model, package
from spark_scoring.models.frames import to_pandas
from spark_scoring.models.udf import ScoredModel
from spark_scoring.spec.job import Job
from spark_scoring.spec.wide import AsOf, Columns, Lookup, Rows, Table, WideTable, Window

__all__ = [
    "AsOf",
    "Columns",
    "Job",
    "Lookup",
    "Rows",
    "ScoredModel",
    "SparkScoringError",
    "Table",
    "WideTable",
    "Window",
    "load_model",
    "package",
    "score_rows",
    "to_pandas",
]
