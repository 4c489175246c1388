"""The contestants: one file for each family. A Spark peer is a function from work and tables to a frame."""
