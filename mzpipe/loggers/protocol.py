"""The contract of a logger: a class without arguments whose instance is opened once, given points, and closed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol


class Meaning(NamedTuple):
    """A metric as telemetry/metrics.py declares it; words in capitals in its tag stand for a family of metrics."""

    tag: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class LoggedRun:
    """The run that a logger is opened for, and where the session that begins continues: at 0 and 0 in a new run."""

    name: str
    directory: Path
    # As the file has it: sections, and their settings.
    profile: Mapping[str, Any]
    metrics: tuple[Meaning, ...]
    # What to draw curves over: "env_steps", or "learner_steps" in a run that plays no games.
    axis: str = "env_steps"
    env_steps: int = 0
    learner_steps: int = 0

    def settings(self) -> dict[str, Any]:
        """Every setting of the profile, by its name with the section's before it."""
        return dict(_leaves(self.profile, ""))

    def described(self) -> dict[str, str]:
        """What every metric says, with its unit, by tag."""
        return {each.tag: f"{each.meaning} ({each.unit})" for each in self.metrics}


class Logger(Protocol):
    """Takes the points of one run. Its methods may take any time and raise anything: the run does not notice."""

    def open(self, run: LoggedRun) -> None:
        """Begins, or resumes, the record of the run."""

    def log(self, values: Mapping[str, float], env_steps: int, learner_steps: int, time: float) -> None:
        """Records one point: values by metric, where the run was then, and the time in seconds since 1970.

        An evaluation is a point of its own, placed where its weights were published: before points that came first.
        """

    def close(self) -> None:
        """Ends the record, with all points in it."""


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
