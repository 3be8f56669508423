"""The parts that every process of a run shares: its agent, its idle strategy, its start and its end."""
