"""Compares runs' scores: human-normalised, aggregated over runs and games with intervals, next to published ones."""
