"""Batch load generator: every item exactly as often as promised, timed as truly as `wrk`."""

__version__ = "0.1.0"
