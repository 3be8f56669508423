"""Drills: long commands that show what the pipeline promises when things go wrong; see docs/reliability.md."""
