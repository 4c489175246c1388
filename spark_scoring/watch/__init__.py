"""Readers of the output tables: status, verify, parity. Nothing here writes them."""
