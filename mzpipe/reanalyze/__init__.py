"""Reanalyzers: stored positions searched again with the newest weights."""
