"""Trackio: one run of the project mzpipe in trackio's own folder (TRACKIO_DIR), which a resumed run continues."""

import secrets
from collections.abc import Mapping
from typing import Any

from .memory import remembered
from .protocol import LoggedRun


class TrackioLogger:
    """Logs to trackio; it does not measure the machine, because mzpipe does."""

    def __init__(self) -> None:
        import trackio

        self._trackio: Any = trackio
        self._run: Any = None
        self._axis = ""

    def open(self, run: LoggedRun) -> None:
        """Begins the run, or continues the one whose name is kept in the run directory."""
        self._axis = run.axis
        self._run = self._trackio.init(
            project="mzpipe",
            name=remembered(run, "trackio", lambda: f"{run.name}-{secrets.token_hex(2)}"),
            resume="allow",
            config={**run.settings(), "metrics": run.described()},
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def log(self, values: Mapping[str, float], env_steps: int, learner_steps: int, time: float) -> None:
        """Adds a point at env steps, or at learner steps in a run that plays no games."""
        steps = {"env_steps": env_steps, "learner_steps": learner_steps}
        self._run.log({**values, **steps}, step=steps[self._axis])

    def close(self) -> None:
        """Ends the run, with all points on disk."""
        self._run.finish()
