"""MLflow: one run of the experiment MLFLOW_EXPERIMENT_NAME (default: mzpipe), which a resumed run continues.

Without MLFLOW_TRACKING_URI the store is mlflow.db next to the run directory, so runs of one folder share it.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

from .memory import remembered
from .protocol import LoggedRun

# What MLflow takes: characters of a metric's name, and parameters in one call.
_FOREIGN, _MOST_PARAMETERS = re.compile(r"[^\w./\- :]"), 100


class MlflowLogger:
    """Logs to MLflow; the step of a point is its env steps, or its learner steps in a run that plays no games."""

    def __init__(self) -> None:
        from mlflow import MlflowClient, entities

        self._client_class, self._entities = MlflowClient, entities
        self._client: Any = None
        self._run_id = self._axis = ""

    def open(self, run: LoggedRun) -> None:
        """Begins the run, or continues the one whose id is kept in the run directory."""
        self._axis = run.axis
        store = f"sqlite:///{run.directory.parent / 'mlflow.db'}"
        self._client = self._client_class(os.environ.get("MLFLOW_TRACKING_URI") or store)
        self._run_id = remembered(run, "mlflow", lambda: self._begin(run))
        self._client.update_run(self._run_id, status="RUNNING")

    def _begin(self, run: LoggedRun) -> str:
        client, name = self._client, os.environ.get("MLFLOW_EXPERIMENT_NAME", "mzpipe")
        experiment = client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else client.create_experiment(name)
        lines = [f"- `{tag}`: {meaning}" for tag, meaning in run.described().items()]
        run_id: str = client.create_run(
            number, run_name=run.name, tags={"mlflow.note.content": "\n".join(lines)[:5000]}
        ).info.run_id
        settings = [self._entities.Param(name, str(value)[:500]) for name, value in run.settings().items()]
        for begin in range(0, len(settings), _MOST_PARAMETERS):
            client.log_batch(run_id, params=settings[begin : begin + _MOST_PARAMETERS])
        return run_id

    def log(self, values: Mapping[str, float], env_steps: int, learner_steps: int, time: float) -> None:
        """Adds a point."""
        step = learner_steps if self._axis == "learner_steps" else env_steps
        metrics = [
            self._entities.Metric(_FOREIGN.sub("_", tag), value, round(1000 * time), step)
            for tag, value in values.items()
        ]
        self._client.log_batch(self._run_id, metrics=metrics)

    def close(self) -> None:
        """Marks the run as finished."""
        self._client.set_terminated(self._run_id)
