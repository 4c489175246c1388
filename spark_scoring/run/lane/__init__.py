"""The real-time lane: rows scored one by one in Spark's Real-Time Mode, and landed in the output table behind it."""
