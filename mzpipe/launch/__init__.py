"""The supervisor: plans a run, rehearses it, starts it, watches it and stops it. It never loads torch."""
