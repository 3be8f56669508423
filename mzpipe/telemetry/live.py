"""The view for a terminal: a panel that stays at the bottom while messages scroll above it."""

from rich.console import Console
from rich.live import Live
from rich.text import Text

from .dashboard import Dashboard
from .snapshot import Snapshot


class LiveView:
    """Redraws the dashboard at each snapshot, from the caller's own thread."""

    def __init__(self, console: Console, *, run_name: str = "") -> None:
        self._console = console
        self._run_name = run_name
        self._return_mean: float | None = None
        self._live: Live | None = None

    def line(self, text: str) -> None:
        """Prints a message above the panel; brackets in it are no markup."""
        self._console.print(Text(text), soft_wrap=True)

    def update(self, snapshot: Snapshot) -> None:
        """Shows the snapshot; a training return stays until newer games have ended."""
        if snapshot.return_mean is not None:
            self._return_mean = snapshot.return_mean
        dashboard = Dashboard(self._run_name, snapshot, self._return_mean)
        if self._live is None:
            self._live = Live(dashboard, console=self._console, auto_refresh=False)
            self._live.start(refresh=True)
        else:
            self._live.update(dashboard, refresh=True)

    def close(self) -> None:
        """Leaves the last panel on the screen and gives the terminal back; a second call does nothing."""
        if self._live is not None:
            self._live.stop()
