"""The supervisor and what it needs: plan, run directory, start, watch, stop. It never loads torch."""
