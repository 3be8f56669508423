"""The loop of a sweep: starts trials, follows their evaluations, prunes, records how each ended.

Reads: scores.csv of every live trial. Writes: the trials' storage, the trials' profiles and logs. Owns: the runs that
it has started; they end when it ends, however that happens.
"""

import select
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..config import Profile
from ..errors import ExitCode, InputOutputError, UsageError
from ..format import count, score
from ..launch.signals import HANDLED, Outcome, PauseSignal, SignalPipe, signal_outcome
from ..runs.directory import save_profile
from ..runs.scores import Evaluation, read_scores
from ..runtime.process import describe_exit
from .directory import SweepDirectory
from .jobs import Job, Runner
from .study import Study, Trial

# Evaluations come minutes apart; an end, or a signal, is noticed at once.
_LOOK_S = 0.5
# For runs that this process must end before it fails itself: as long as a run takes to save its checkpoint.
_END_S = 30.0
_TAIL_BYTES = 1 << 16
_SAYS = "mzpipe train: "


@dataclass
class _Live:
    """A trial whose run was started; `log_bytes` is where its log began."""

    trial: Trial
    job: Job
    log_bytes: int
    is_pruned: bool = False
    fault: str = ""


@dataclass
class Engine:
    """One session of a sweep."""

    study: Study
    directory: SweepDirectory
    runner: Runner
    jobs: int
    # The profile with these `field=value`; raises UsageError.
    load: Callable[[Sequence[str]], Profile]
    line: Callable[[str], None]
    # Further words of every run.
    words: Sequence[str] = ()
    max_failures: int = 3
    _live: list[_Live] = field(default_factory=list)
    _waiting: list[Trial] = field(default_factory=list)
    _outcome: Outcome | None = None
    _failures: int = 0
    _signals: int = 0

    def run(self) -> Outcome:
        """Runs every trial to its end; after a signal, or too many failures, ends those that live in order."""
        with SignalPipe() as signals, PauseSignal() as pause:
            try:
                self._waiting = self.study.unfinished()
                for trial in self._waiting:
                    self.line(f"{trial.name}: had not ended, is taken up again")
                self._fill()
                while self._live or (self._waiting and self._outcome is None):
                    self._wait(signals)
                    if pause.take():
                        self._pause()
                    self._heed(signals)
                    for live in list(self._live):
                        self._follow(live)
                    self._fill()
            finally:
                self._end_all()
        return self._outcome or self._ending()

    def _ending(self) -> Outcome:
        rows = self.study.rows()
        if rows and all(row.value is None for row in rows):
            return Outcome(ExitCode.INTERNAL, f"no trial has a return: see {self.directory.path}/trial-*.log")
        return Outcome(ExitCode.FINISHED, f"all {len(rows)} trials have ended")

    # Starts.

    def _fill(self) -> None:
        while self._outcome is None and len(self._live) < self.jobs and (trial := self._next()) is not None:
            self._begin(trial)

    def _next(self) -> Trial | None:
        """A trial to start now: one that was begun before, if no process is in its directory, else a new one."""
        for trial in self._waiting:
            if self.runner.is_live(trial.name) or not self.directory.run(trial.name).is_held():
                self._waiting.remove(trial)
                return trial
        return None if self._waiting else self.study.next()

    def _begin(self, trial: Trial) -> None:
        if trial.should_be_pruned():  # decided before a kill
            self._prune(trial)
            return
        try:
            profile = self.load(trial.settings)
        except UsageError as error:
            self._fail(trial, str(error))
            return
        self.line(f"{trial.name}: {', '.join(trial.settings)}")
        path, log = self.directory.profile(trial.name), self.directory.log(trial.name)
        save_profile(profile, path)
        words = [str(path), "--run-dir", str(self.directory.run(trial.name).path), *self.words]
        log_bytes = log.stat().st_size if log.exists() else 0
        self._live.append(_Live(trial, self.runner.start(trial.name, words, log), log_bytes))

    # What happens.

    def _wait(self, signals: SignalPipe) -> None:
        poller = select.poll()
        for descriptor in (signals.descriptor, *(live.job.descriptor for live in self._live)):
            if descriptor is not None:
                poller.register(descriptor, select.POLLIN)
        poller.poll(round(_LOOK_S * 1000))

    def _heed(self, signals: SignalPipe) -> None:
        """Ends every run in order after a signal; a second one does not wait, as in a run."""
        outcome = signal_outcome(signals, "every trial is saved; the same command resumes")
        if outcome is not None and signals.count() > self._signals:
            self._signals = signals.count()
            self._stop(outcome)

    def _stop(self, outcome: Outcome) -> None:
        self._outcome = self._outcome or outcome
        for live in self._live:
            live.job.signal(signal.SIGTERM)

    def _pause(self) -> None:
        """Stops every run, then this process; returns when it is told to go on."""
        for live in self._live:
            live.job.signal(signal.SIGTSTP)
        signal.raise_signal(signal.SIGSTOP)
        for live in self._live:
            live.job.signal(signal.SIGCONT)

    def _follow(self, live: _Live) -> None:
        code = live.job.code()
        curve = self._read(live)
        is_news = live.trial.report(curve)
        if code is not None:
            self._live.remove(live)
            live.job.close()
            self._record(live, code, curve)
        elif is_news and not live.is_pruned and live.trial.should_be_pruned():
            live.is_pruned = True
            live.job.signal(signal.SIGTERM)

    def _read(self, live: _Live) -> list[Evaluation]:
        try:
            return read_scores(self.directory.run(live.trial.name).scores)
        except InputOutputError as error:
            if not live.fault:
                live.fault = str(error)
                live.job.signal(signal.SIGTERM)
            return []

    # Ends.

    def _record(self, live: _Live, code: int, curve: list[Evaluation]) -> None:
        trial = live.trial
        if live.fault:
            self._fail(trial, live.fault)
        elif code == ExitCode.FINISHED:
            self._complete(trial, curve)
        elif live.is_pruned:
            self._prune(trial, curve)
        elif (number := _ended_by(code)) is not None:
            self.line(f"{trial.name}: stopped by {signal.Signals(number).name}; the same command resumes it")
        else:
            self._fail(trial, self._last_words(live) or f"the run {describe_exit(code)}")

    def _complete(self, trial: Trial, curve: list[Evaluation]) -> None:
        try:
            value = trial.complete(curve)
        except UsageError as error:
            self._fail(trial, str(error))
            return
        self._failures = 0
        self.line(f"{trial.name}: return {score(value)} after {_steps(curve)}")

    def _prune(self, trial: Trial, curve: Sequence[Evaluation] = ()) -> None:
        trial.prune()
        self._failures = 0
        self.line(f"{trial.name}: pruned{f' at {score(curve[-1].return_mean)} after {_steps(curve)}' if curve else ''}")

    def _fail(self, trial: Trial, note: str) -> None:
        trial.fail(note)
        self.line(f"{trial.name}: failed: {note}")
        self._failures += 1
        if self._failures >= self.max_failures:
            reason = f"{self._failures} trials in a row have failed (max_failures={self.max_failures})"
            self._stop(Outcome(ExitCode.INTERNAL, f"{reason}, the last with: {note}"))

    def _last_words(self, live: _Live) -> str:
        """The line with which the run said why it ended; "" if it said nothing."""
        path = self.directory.log(live.trial.name)
        with open(path, "rb") as file:
            file.seek(max(live.log_bytes, path.stat().st_size - _TAIL_BYTES))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        said = [line.removeprefix(_SAYS) for line in lines if line.startswith(_SAYS)]
        return (said or lines or [""])[-1]

    def _end_all(self) -> None:
        """Ends what still lives: something is wrong here, and the runs are saved all the same."""
        for live in self._live:
            live.job.signal(signal.SIGTERM)
        for live in self._live:
            if live.job.descriptor is not None:
                select.select([live.job.descriptor], [], [], _END_S)
            live.job.close()


def _ended_by(code: int) -> int | None:
    """The signal that ended a run in order, or before it could do anything; None for any other end."""
    number = -code if code < 0 else code - 128
    return number if number in HANDLED else None


def _steps(curve: Sequence[Evaluation]) -> str:
    return f"{count(curve[-1].learner_steps)} training steps"
