"""View: what the supervisor shows a run on; live in a terminal, plain lines anywhere else."""

from typing import Protocol

from rich.console import Console

from .live import LiveView
from .plain import PlainView
from .snapshot import Snapshot

__all__ = ["LiveView", "PlainView", "View", "make_view"]


class View(Protocol):
    """Messages and snapshots for the person who started the run."""

    def line(self, text: str) -> None:
        """Shows one message for good."""

    def update(self, snapshot: Snapshot) -> None:
        """Shows the state of the run in place of the last one."""

    def close(self) -> None:
        """Shows the last state and lets go of the terminal."""


def make_view(run_name: str = "", console: Console | None = None, *, interval_s: float = 5.0) -> View:
    """A LiveView where the console (default: stdout) can redraw, else a PlainView with a line per `interval_s`."""
    console = console or Console()
    if can_redraw(console):
        return LiveView(console, run_name=run_name)
    return PlainView(console, interval_s=interval_s)


def can_redraw(console: Console) -> bool:
    """Whether the console is a terminal that moves its cursor and has line-drawing characters.

    The file is asked too: FORCE_COLOR, which build servers set, makes rich take any pipe for a terminal.
    """
    return console.is_interactive and console.file.isatty() and console.encoding.startswith("utf")
