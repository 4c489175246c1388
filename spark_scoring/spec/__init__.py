"""The nouns: what `wide.yaml` and `job.yaml` say, as frozen dataclasses, without Spark."""
