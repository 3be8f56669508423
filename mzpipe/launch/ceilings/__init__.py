"""Ceilings: each role alone in a process of its own, between stand-ins that never make it wait."""
