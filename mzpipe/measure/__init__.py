"""Measures how a running pipeline spends its time, which process limits it, and what could be faster."""
