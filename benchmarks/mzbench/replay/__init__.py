"""The case `replay`: batches, priorities and insertion of the replay table."""
