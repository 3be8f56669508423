"""Drills: commands that do harm to real runs and count what they survive: `python -m tests.drills.NAME`."""
