"""Measured here: the tree work of a batch of searches."""
