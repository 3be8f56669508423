"""Loggers: where the curves of a run go besides TensorBoard; docs/loggers.md has the contract.

A process that logs imports no more of mzpipe than it needs, so this package stands on its own.
"""

from .protocol import LoggedRun, Logger, Meaning

__all__ = ["LoggedRun", "Logger", "Meaning"]
