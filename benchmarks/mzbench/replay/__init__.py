"""Measured here: batches, priorities and insertion of the replay table."""
