"""What every process of a run is: an agent, its idle strategy, its life and death."""
