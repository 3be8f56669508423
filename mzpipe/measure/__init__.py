"""Measure: what a running pipeline does with its time, which process limits it, and what could be faster."""
