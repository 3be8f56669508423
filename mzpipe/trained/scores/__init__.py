"""Scores: normalised by a person's, aggregated over runs and games with intervals, beside published ones."""
