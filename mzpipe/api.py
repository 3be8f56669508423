"""mzpipe in a script or a notebook: train a profile, follow its evaluations and checkpoints, play what was trained.

    run = mzpipe.train("cartpole", seed=1, learner={"batch_size": 64}, on_evaluation=print)
    run.scores[-1].return_mean
    run.player().act(observation).action

The names here are those of the package `mzpipe` itself.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .config import Profile, load_profile, parse_profile, profile_text
from .config.describe import toml_value
from .errors import ConfigError, MzpipeError, UsageError
from .games import make_game
from .launch.signals import Outcome
from .launch.train import train as train_profile
from .own_code import allow_own_code
from .runs.checkpoint import LATEST, CheckpointStore
from .runs.directory import RunDirectory, default_run_directory, refuse_no_run
from .runs.releases import find_run
from .runs.scores import Evaluation, read_scores
from .runtime.environment import prepare_environment
from .telemetry import Snapshot, View, make_view
from .trained import Player

__all__ = ["Evaluation", "Player", "Profile", "Run", "allow_own_code", "load_profile", "make_game", "train"]

# Settings whose value is a table.
_TABLES = ("game.gymnasium.arguments", "network.arguments")
# Called with what is new. If it returns True, the run stops as at a limit.
OnEvaluation = Callable[[Evaluation], object]
OnCheckpoint = Callable[[Path], object]


class Run:
    """A run on disk, live or ended.

    `path` is its directory; `reason` says how the training that returned it ended, and is "" for a run that was only
    opened.
    """

    def __init__(self, path: Path | str, reason: str = "") -> None:
        """`path` may be the name of a trained run that comes with mzpipe. Raises UsageError when there is no run."""
        self.path, self.reason = find_run(path), reason
        refuse_no_run(self.path)
        self._directory = RunDirectory(self.path)
        self._store = CheckpointStore(self._directory.checkpoints)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}{f', {self.reason!r}' if self.reason else ''})"

    @property
    def profile(self) -> Profile:
        """The profile that it was last trained with."""
        return load_profile(self._directory.profile)

    @property
    def scores(self) -> list[Evaluation]:
        """Every evaluation, oldest first."""
        return read_scores(self._directory.scores)

    @property
    def checkpoints(self) -> list[Path]:
        """The directories of its checkpoints, by name."""
        return [self._store.directory / name for name in self._store.names()]

    def player(self, checkpoint: str | None = None, num_simulations: int | None = None, **options: Any) -> Player:
        """A Player of one checkpoint: a name, `best` or `latest`; None is `best` if there is one, else `latest`.

        `options` are the others of Player.load, whose errors it raises.
        """
        return Player.load(self.path, checkpoint=checkpoint, num_simulations=num_simulations, **options)


def train(
    profile: Profile | Path | str,
    run_dir: Path | str | None = None,
    *,
    serial: bool = False,
    ray: str = "",
    allow_env_import: bool = False,
    on_evaluation: OnEvaluation | None = None,
    on_checkpoint: OnCheckpoint | None = None,
    view: View | None = None,
    **overrides: Any,
) -> Run:
    """Trains a profile until a limit of its [stop] is reached, as `mzpipe train` does; resumes the run in `run_dir`.

    `profile` is a file, the name of a profile that comes with mzpipe, or a Profile; `overrides` replace settings: a
    number (`seed=1`), or a section's fields (`learner={"batch_size": 64}`). `on_evaluation` is called with each new
    Evaluation, `on_checkpoint` with the directory of each new checkpoint. Callbacks run in this process between two
    looks at the run. If one returns True, the run stops; if one raises, the run stops in order, and its error is raised
    again. `view` shows the run (default: as the command does). `ray` is the address of the Ray cluster that places
    cluster.pods, or "auto".

    Raises KeyboardInterrupt once a run that Ctrl-C ended is saved, and MzpipeError for a failure that ended it. Call it
    from the main thread: it takes the process's signals.
    """
    if threading.current_thread() is not threading.main_thread():
        raise UsageError("mzpipe.train: call it from the main thread: it takes the process's signals")
    prepare_environment()
    allow_own_code(allow_env_import)
    words = list(_words(overrides))
    chosen = _chosen(profile, words)
    name = "run" if isinstance(profile, Profile) else Path(profile).stem
    directory = RunDirectory(Path(run_dir) if run_dir else default_run_directory(name, chosen.seed))
    shown = make_view(directory.path.name, interval_s=chosen.telemetry.interval_s) if view is None else view
    callbacks = _Callbacks(shown, directory, on_evaluation, on_checkpoint)
    try:
        outcome = train_profile(chosen, directory, callbacks, serial=serial, watch=callbacks.watch, ray=ray)
    finally:
        shown.close()
    callbacks.end()
    return _ended(directory, outcome)


def _ended(directory: RunDirectory, outcome: Outcome) -> Run:
    if outcome.has_failed:
        raise MzpipeError("\n".join(filter(None, [outcome.reason, outcome.traceback])))
    if outcome.exit_code.is_signal:
        raise KeyboardInterrupt(f"{directory.path}: {outcome.reason}; the same call resumes it")
    return Run(directory.path, outcome.reason)


class _Callbacks:
    """A view that calls a user's functions with what is new."""

    def __init__(
        self,
        view: View,
        directory: RunDirectory,
        on_evaluation: OnEvaluation | None,
        on_checkpoint: OnCheckpoint | None,
    ) -> None:
        self._view, self._on_evaluation, self._on_checkpoint = view, on_evaluation, on_checkpoint
        self._directory, self._store = directory, CheckpointStore(directory.checkpoints)
        # What was told last: of an evaluation its weights version, which only grows.
        self._version = max((each.weights_version for each in read_scores(directory.scores)), default=0)
        self._checkpoint = self._latest()
        self._reason: str | None = None
        self._error: BaseException | None = None
        self.line, self.close = view.line, view.close

    def update(self, snapshot: Snapshot) -> None:
        """Shows the snapshot, and calls what it brings news for."""
        self._view.update(snapshot)
        if snapshot.evaluation is not None and snapshot.evaluation.weights_version > self._version:
            self._tell_of_evaluations()
        self._tell_of_checkpoint()

    def watch(self, _: object) -> str | None:
        """Why a callback ends the run."""
        return self._reason

    def end(self) -> None:
        """Tells of what came while the run stopped; raises the error of a callback."""
        self._tell_of_evaluations()
        self._tell_of_checkpoint()
        if self._error is not None:
            raise self._error

    def _tell_of_evaluations(self) -> None:
        """Tells of every new one in the scores: a snapshot has only the newest."""
        for evaluation in read_scores(self._directory.scores):
            if evaluation.weights_version > self._version:
                self._version = evaluation.weights_version
                self._call(self._on_evaluation, evaluation)

    def _tell_of_checkpoint(self) -> None:
        if self._on_checkpoint is not None and (latest := self._latest()) != self._checkpoint:
            self._checkpoint = latest
            self._call(self._on_checkpoint, self._store.directory / latest)

    def _latest(self) -> str:
        return self._store.pointed(LATEST) if self._store.has(LATEST) else ""

    def _call(self, callback: Callable[[Any], object] | None, news: object) -> None:
        if callback is None or self._error is not None:
            return
        try:
            if callback(news) is True:
                self._reason = f"stopped by {_name_of(callback)}"
        except Exception as error:  # the user's code: the run is saved first, then the error is raised again
            self._error, self._reason = error, f"{_name_of(callback)} raised {type(error).__name__}"


def _name_of(callback: Callable[[Any], object]) -> str:
    return getattr(callback, "__name__", type(callback).__name__)


def _chosen(profile: Profile | Path | str, words: list[str]) -> Profile:
    """The profile with these overrides."""
    if isinstance(profile, Profile):
        return parse_profile(profile_text(profile), words)
    return load_profile(profile, words)


def _words(overrides: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The overrides as `section.field=value`; raises ConfigError for a value that a profile cannot hold."""
    for name, value in overrides.items():
        if isinstance(value, Mapping) and f"{prefix}{name}" not in _TABLES:
            yield from _words(value, f"{prefix}{name}.")
            continue
        try:
            yield f"{prefix}{name}={toml_value(value)}"
        except TypeError:
            raise ConfigError(f"{prefix}{name}={value!r}: a profile cannot hold a {type(value).__name__}") from None
