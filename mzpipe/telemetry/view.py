"""View: shows a run, live in a terminal, in one place of a notebook's cell, and as plain lines anywhere else."""

from collections.abc import Iterator
from typing import Any, Protocol

from rich.console import Console

from ..format import count, duration, number, printable, score
from .dashboard import LiveView
from .snapshot import Snapshot, seconds_to_limit


class PlainView:
    """Prints a line every `interval_s` of the run's own time, and the last snapshot when it is closed."""

    def __init__(self, console: Console, *, interval_s: float = 5.0) -> None:
        self._console = console
        self._interval_s = interval_s
        self._shown: Snapshot | None = None
        self._latest: Snapshot | None = None
        self._return_mean: float | None = None

    def line(self, text: str) -> None:
        """Prints a message as it is: brackets are not markup, and long lines stay whole."""
        self._console.print(printable(text), markup=False, emoji=False, highlight=False, soft_wrap=True)

    def update(self, snapshot: Snapshot) -> None:
        """Takes the newest snapshot; prints it if the last line is `interval_s` old."""
        self._latest = snapshot
        self._return_mean = snapshot.newest_return(self._return_mean)
        if self._shown is None or snapshot.elapsed_s - self._shown.elapsed_s >= self._interval_s:
            self._show(snapshot)

    def close(self) -> None:
        """Prints the newest snapshot unless it is already printed; a second call does nothing."""
        if self._latest is not None and self._latest is not self._shown:
            self._show(self._latest)

    def _show(self, snapshot: Snapshot) -> None:
        parts = list(_parts(snapshot, self._return_mean))
        if self._shown is None or snapshot.note != self._shown.note:
            parts.append(snapshot.note)
        self._print_snapshot(f"[{snapshot.elapsed_s:6.1f}s] {' | '.join(parts)}")
        self._shown = snapshot

    def _print_snapshot(self, text: str) -> None:
        self.line(text)


class NotebookView(PlainView):
    """Shows the newest snapshot below a notebook's cell, in place of the former one; messages are plain text."""

    def __init__(self, *, interval_s: float = 5.0) -> None:
        # Rich would make a block of HTML of every line.
        super().__init__(Console(force_jupyter=False), interval_s=interval_s)
        self._place: Any = None

    def _print_snapshot(self, text: str) -> None:
        from IPython.display import display

        state = {"text/plain": printable(text)}
        if self._place is None:
            self._place = display(state, raw=True, display_id=True)
        else:
            self._place.update(state, raw=True)


class SilentView:
    """Shows nothing."""

    def line(self, text: str) -> None:
        """Prints nothing."""

    def update(self, snapshot: Snapshot) -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Has nothing to close."""


def _parts(snapshot: Snapshot, return_mean: float | None) -> Iterator[str]:
    yield f"env {count(snapshot.env_steps)} ({number(snapshot.known('perf/env_steps_per_s'))}/s)"
    yield f"learner {count(snapshot.learner_steps)} ({number(snapshot.known('perf/learner_steps_per_s'))}/s)"
    yield f"sim {number(snapshot.known('perf/simulations_per_s'))}/s"
    yield f"batch {number(snapshot.known('perf/inference_batch_mean'))}"
    if return_mean is not None:
        yield f"return {score(return_mean)}"
    if snapshot.evaluation is not None:
        yield f"eval {score(snapshot.evaluation.return_mean)} @{snapshot.evaluation.learner_steps}"
    samples_per_insert = snapshot["replay/samples_per_insert"]
    if samples_per_insert is not None:
        yield f"spi {samples_per_insert:.1f}/{snapshot.known('replay/samples_per_insert_target'):.1f}"
    if "total" in snapshot.losses:
        yield f"loss {number(snapshot.losses['total'])}"
    yield from _trouble(snapshot)
    seconds = seconds_to_limit(snapshot)
    if seconds is not None:
        yield f"eta {duration(seconds)}"


def _trouble(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.linked_pods < len(snapshot.pods):
        yield f"pods {snapshot.linked_pods} of {len(snapshot.pods)}"
    skipped = int(snapshot.known("learner/skipped_steps"))
    if skipped:
        yield f"skipped {count(skipped)}"
    if snapshot.restarts:
        yield f"restarts {count(snapshot.restarts)}"


__all__ = ["LiveView", "NotebookView", "PlainView", "View", "make_view"]


class View(Protocol):
    """Shows messages and snapshots to the user."""

    def line(self, text: str) -> None:
        """Shows one message permanently."""

    def update(self, snapshot: Snapshot) -> None:
        """Shows the state of the run in place of the former one."""

    def close(self) -> None:
        """Shows the last state and releases the terminal."""


def make_view(run_name: str = "", console: Console | None = None, *, interval_s: float = 5.0) -> View:
    """A LiveView if the console (default: stdout) can redraw, else one with a line every `interval_s`.

    In a notebook that is a NotebookView, else a PlainView.
    """
    console = console or Console()
    if console.is_jupyter:
        return NotebookView(interval_s=interval_s)
    if can_redraw(console):
        return LiveView(console, run_name=run_name)
    return PlainView(console, interval_s=interval_s)


def can_redraw(console: Console) -> bool:
    """Whether the console is a terminal that moves its cursor and has line-drawing characters.

    The file is checked too: with FORCE_COLOR, which build servers set, rich takes any pipe for a terminal.
    """
    return console.is_interactive and console.file.isatty() and console.encoding.startswith("utf")
