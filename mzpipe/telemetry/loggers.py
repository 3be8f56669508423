"""The loggers of a run beside its TensorBoard curves: each point of the curves is given to all of them.

jsonl writes here, as the curves are written; every other logger has a process of its own (decision 38).
"""

import contextlib
import select
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..config import Profile, profile_text
from ..errors import InputOutputError, OwnCodeError
from ..loggers import LoggedRun, Meaning
from ..loggers.jsonl import FILE, JsonlLogger
from ..loggers.known import JSONL, SETTING
from ..loggers.process import LoggerProcess, log_name
from ..runs.attempts import Attempts
from ..runs.scores import Evaluation
from ..runtime.attended import AttendedClock
from .metrics import EVALUATION_METRICS, METRICS, Values, read
from .snapshot import Snapshot

# Importing a logger's package on a busy machine takes seconds.
_START_S = 120.0
# A logger has this long after the stop began, and at least this long after its last point: everything is gone in 10 s.
_STOP_S, _LEAST_STOP_S = 8.0, 1.0
_LOOK_MS, _LONGEST_LOOK_S = 50, 1.0


class Point(NamedTuple):
    """What one call of a logger's `log` gets."""

    values: dict[str, float]
    env_steps: int
    learner_steps: int
    time: float


class _Lines:
    """metrics.jsonl, which a full disk may refuse."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._logger, self._attempts = JsonlLogger(), Attempts(f"points in {FILE}", note, lost="points are missing")
        self.open = self._logger.open

    def log(self, *point: Any) -> None:
        self._attempts.make(lambda: self._logger.log(*point))

    def close(self) -> None:
        with contextlib.suppress(InputOutputError):  # every line is written, or told to be refused
            self._logger.close()


class Loggers:
    """All loggers of a run; as a context, it ends every process that it has started."""

    def __init__(
        self,
        names: Sequence[str] = (),
        runtime: Path = Path(),
        note: Callable[[str], None] = lambda line: None,
        is_hurried: Callable[[], bool] = lambda: False,
    ) -> None:
        """Starts the processes, which first print to files in `runtime`; `is_hurried` ends the wait for their end."""
        self._lines = [_Lines(note)] if JSONL in names else []
        self._is_hurried, self._clock = is_hurried, AttendedClock(_LONGEST_LOOK_S)
        self._evaluation: Evaluation | None = None
        self._processes: list[LoggerProcess] = []
        for name in names:
            if name != JSONL:
                self._processes.append(LoggerProcess(name, runtime / f"{log_name(name)}.log", note))

    def __enter__(self) -> "Loggers":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()

    def await_ready(self, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Waits until every logger is made, or the run is stopped.

        Raises OwnCodeError: one cannot be made.
        """
        self._look_until(lambda: all(each.is_ready or each.is_over for each in self._processes), _START_S, is_stopped)
        for process in self._processes:
            process.refuse_unready()
            if not process.is_ready and not is_stopped():
                raise OwnCodeError(f"{SETTING}: {process.name} is not ready after {_START_S:.0f} s: leave it out")

    def open(self, run: LoggedRun, logs: Path) -> None:
        """Opens every logger for a run; what their processes print goes to files in `logs`."""
        for lines in self._lines:
            lines.open(run)
        for process in self._processes:
            process.open(run, logs)

    def log(self, snapshot: Snapshot) -> None:
        """Gives the loggers a point of the curves; waits for none of them."""
        for point in self._points(snapshot):
            for lines in self._lines:
                lines.log(*point)
            for process in self._processes:
                process.log(*point)

    def look(self) -> None:
        """Takes in what the loggers say; call it every second or so."""
        for process in self._processes:
            process.look()

    def close(self, stopping_s: float = 0.0) -> None:
        """Closes the loggers, `stopping_s` after the stop began; kills those that have not ended in time.

        Tells what was not logged.
        """
        for lines in self._lines:
            lines.close()
        for process in self._processes:
            process.close()
        most_s = max(_STOP_S - stopping_s, _LEAST_STOP_S)
        self._look_until(lambda: all(each.is_over for each in self._processes), most_s, self._is_hurried)
        for process in self._processes:
            process.kill()
            process.tell_missing()

    def _points(self, snapshot: Snapshot) -> Iterator[Point]:
        """The snapshot's values, and those of a new evaluation at its own place."""
        now_s, evaluation = time.time(), snapshot.evaluation
        if evaluation is not None and evaluation != self._evaluation:
            self._evaluation = evaluation
            values = _known(read(EVALUATION_METRICS, evaluation))
            yield Point(values, evaluation.env_steps, evaluation.learner_steps, now_s)
        yield Point(_known(snapshot.metrics), snapshot.env_steps, snapshot.learner_steps, now_s)

    def _look_until(self, condition: Callable[[], bool], most_s: float, is_given_up: Callable[[], bool]) -> None:
        deadline_s = self._clock.now_s() + most_s
        while not condition() and not is_given_up() and self._clock.now_s() < deadline_s:
            poller = select.poll()
            for process in self._processes:
                for descriptor in process.descriptors:
                    poller.register(descriptor, select.POLLIN)
            poller.poll(_LOOK_MS)
            self.look()


def logged_run(profile: Profile, path: Path, env_steps: int, learner_steps: int) -> LoggedRun:
    """What loggers are told of the run in a directory, whose session continues at these steps."""
    return LoggedRun(
        name=path.name,
        directory=path.absolute(),
        profile=tomllib.loads(profile_text(profile)),
        metrics=tuple(Meaning(each.tag, each.unit, each.meaning) for each in (*METRICS, *EVALUATION_METRICS)),
        axis="learner_steps" if profile.replay.source else "env_steps",
        env_steps=env_steps,
        learner_steps=learner_steps,
    )


def _known(values: Values) -> dict[str, float]:
    return {tag: float(value) for tag, value in values.items() if value is not None}
