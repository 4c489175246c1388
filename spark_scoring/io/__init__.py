"""Rows in and out: Delta, Kafka and files; the only place that knows their options."""
