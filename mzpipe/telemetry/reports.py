"""Reports: the terminal, the TensorBoard curves, the loggers and the scores of one session of a run."""

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from ..config import Profile
from ..format import score
from ..games.figures import human_normalised
from ..ipc.dataplane import DataPlane
from ..ipc.messages import Evaluated
from ..ipc.roles import Role
from ..ipc.shape import Member
from ..runs.attempts import Attempts
from ..runs.directory import RunDirectory
from ..runs.scores import Evaluation, ScoresFile
from ..targets import value_transform_inverse
from . import TensorBoardWriter, View
from .loggers import Loggers, logged_run
from .snapshot import Snapshot
from .snapshots import SnapshotMaker

_VIEW_INTERVAL_S = 0.5
# From this part of all targets on, what the support cuts off is told.
_CLIPPED_PART = 0.001


class Reached(NamedTuple):
    """The progress of a run's former sessions.

    `inserted`: transitions that the last session had taken into its table; 0 if that is unknown.
    `began_s`: when the command that starts this session began, on the monotonic clock; None if that is unknown.
    """

    env_steps: int
    learner_steps: int
    best_return_mean: float | None
    inserted: int = 0
    began_s: float | None = None


class Reporting(Protocol):
    """What a supervisor tells its user."""

    def evaluation(self, message: Evaluated) -> None:
        """Takes in the result of one evaluation."""

    def limit_reached(self) -> str | None:
        """The first stop condition that is met, in words."""

    def tick(self, note: Callable[[], str | None]) -> None:
        """Shows and writes what is due."""

    def stopping(self) -> None:
        """Notes that the run stops."""

    def close(self) -> None:
        """Shows and writes the last."""


class Reports:
    """Everything that a run tells its user."""

    def __init__(
        self,
        profile: Profile,
        plane: DataPlane,
        run: RunDirectory,
        view: View,
        reached: Reached,
        clock: Callable[[], float] = time.monotonic,
        loggers: Loggers | None = None,
    ) -> None:
        """`clock` counts the time in which the run runs."""
        self._profile, self._plane, self._view = profile, plane, view
        if plane.shape.actors:
            plane.counters(Member(Role.ACTOR, 0)).set("env_steps", reached.env_steps)
        replay = plane.counters(Member(Role.REPLAY, 0))
        for name, value in {
            "inserted": reached.inserted,
            "former_inserted": reached.inserted,
            "former_env_steps": reached.env_steps,
        }.items():
            replay.set(name, value)
        plane.counters(Member(Role.LEARNER, 0)).set("learner_steps", reached.learner_steps)
        self._snapshots = SnapshotMaker(profile, plane, clock)
        self._snapshots.best_return_mean = reached.best_return_mean
        self._tensorboard = TensorBoardWriter(run.tensorboard)
        self._curves = Attempts("curves", view.line, lost="points are missing")
        self._clock, self._loggers = clock, loggers or Loggers()
        self._stopping_at_s: float | None = None
        self._loggers.open(logged_run(profile, run.path, reached.env_steps, reached.learner_steps), run.logs)
        self._scores = ScoresFile(run.scores)
        self._rows = Attempts("scores", view.line)
        self._unwritten = deque[Evaluation]()
        self._view_due_s = self._curve_due_s = 0.0
        self._clipping_is_told = False
        self._began_s, self._former_env_steps = reached.began_s, reached.env_steps

    def evaluation(self, message: Evaluated) -> None:
        """Takes in the result of one evaluation."""
        fields = ("weights_version", "learner_steps", "env_steps", "return_mean", "return_std", "episodes", "protocol")
        values = {name: getattr(message, name) for name in fields}
        normalised = human_normalised(self._profile.game.name, message.return_mean)
        evaluation = Evaluation(**values, human_normalised=normalised)
        self._unwritten.append(evaluation)
        self._rows.make(self._write_scores)
        self._snapshots.evaluation = evaluation
        if message.is_best:
            self._snapshots.best_return_mean = message.return_mean
        best = ", the best so far" if message.is_best else ""
        self._view.line(
            f"evaluation at learner step {message.learner_steps:,}: mean return {score(message.return_mean)} "
            f"+- {score(message.return_std)} over {message.episodes} greedy episodes{best}"
        )

    def limit_reached(self) -> str | None:
        """The first stop condition that the counters meet, in words."""
        for name, (now, limit) in self._snapshots.limits().items():
            if name != "return_mean" and now >= limit:
                return f"stop.{name}={limit:g} reached"
        return None

    def tick(self, note: Callable[[], str | None]) -> None:
        """Shows and writes what is due."""
        now_s = time.monotonic()
        self._announce_first_step(now_s)
        if now_s < self._view_due_s:
            return
        self._view_due_s = now_s + _VIEW_INTERVAL_S
        snapshot = self._snapshots.make(note() or self._note())
        self._view.update(snapshot)
        self._tell_of_clipped_targets(snapshot)
        if now_s >= self._curve_due_s and snapshot.axis:
            self._curve_due_s = now_s + self._profile.telemetry.interval_s
            self._curves.make(lambda: self._tensorboard.write(snapshot))
            self._loggers.log(snapshot)
        self._loggers.look()
        if self._rows.is_due:
            self._rows.make(self._write_scores)

    def _announce_first_step(self, now_s: float) -> None:
        """Shows one line, once, as soon as a move is counted."""
        if self._began_s is not None and self._plane.total("env_steps") > self._former_env_steps:
            self._view.line(f"first env step after {now_s - self._began_s:.1f} s")
            self._began_s = None

    def _tell_of_clipped_targets(self, snapshot: Snapshot) -> None:
        """Shows one line, once, when a part of the targets lies beyond the supports."""
        part = snapshot.known("targets/clipped_fraction")
        if self._clipping_is_told or part < _CLIPPED_PART:
            return
        self._clipping_is_told = True
        network = self._profile.network
        values, rewards = value_transform_inverse(
            np.array([network.value_support_size, network.reward_support_size], np.float32)
        )
        self._view.line(
            f"{part:.1%} of the targets lie beyond the supports and are clipped: raise network.value_support_size "
            f"(now {network.value_support_size}: values up to {values:,.0f}) or network.reward_support_size (now "
            f"{network.reward_support_size}: rewards up to {rewards:,.1f}); `mzpipe check-env` suggests both"
        )

    def stopping(self) -> None:
        """Notes that the run stops: its loggers have little time from now on."""
        self._stopping_at_s = self._clock()

    def close(self) -> None:
        """Writes the last point of the curves, and the scores that could not be written before; closes the loggers."""
        last = self._snapshots.make("stopped")
        if self._curves.make(lambda: self._tensorboard.write(last)):
            self._curves.make(self._tensorboard.close)
        self._loggers.log(last)
        if not self._rows.make(self._write_scores):
            self._view.line(f"{len(self._unwritten)} evaluations are missing from the scores")
        self._loggers.close(0.0 if self._stopping_at_s is None else self._clock() - self._stopping_at_s)

    def _write_scores(self) -> None:
        while self._unwritten:
            self._scores.append(self._unwritten[0])
            self._unwritten.popleft()

    def _note(self) -> str:
        inserted = self._plane.counters(Member(Role.REPLAY, 0)).get("inserted")
        needed = 0 if self._profile.replay.source else self._profile.replay.min_size_to_sample
        return "training" if inserted >= needed else f"waiting for replay: {inserted:,} of {needed:,} transitions"
