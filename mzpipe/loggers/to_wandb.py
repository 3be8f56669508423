"""Weights & Biases: one run of the project WANDB_PROJECT (default: mzpipe), which a resumed run continues.

WANDB_MODE=offline writes to RUN/wandb only; `wandb sync` sends that later.
"""

import os
import secrets
from collections.abc import Mapping
from typing import Any

from .memory import remembered
from .protocol import LoggedRun


class WandbLogger:
    """Logs to wandb; curves are drawn over env steps."""

    def __init__(self) -> None:
        import wandb

        self._wandb: Any = wandb
        self._run: Any = None

    def open(self, run: LoggedRun) -> None:
        """Begins the run, or continues the one whose id is kept in the run directory."""
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", "mzpipe"),
            name=run.name,
            id=remembered(run, "wandb", lambda: secrets.token_hex(4)),
            resume="allow",
            dir=str(run.directory),
            config={**run.profile, "metrics": run.described()},
            allow_val_change=True,
            settings=self._wandb.Settings(console="off"),
        )
        self._run.define_metric(run.axis)
        self._run.define_metric("*", step_metric=run.axis)

    def log(self, values: Mapping[str, float], env_steps: int, learner_steps: int, time: float) -> None:
        """Adds a row to the run's history."""
        self._run.log({**values, "env_steps": env_steps, "learner_steps": learner_steps, "_timestamp": time})

    def close(self) -> None:
        """Ends the run, and sends what is still to be sent."""
        self._run.finish()
