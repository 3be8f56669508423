"""Another engine beside the agent: its program, and the protocols that it speaks."""
