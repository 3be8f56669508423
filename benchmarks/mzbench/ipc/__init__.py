"""Measured here: rings, doorbells, lanes and weights between processes."""
