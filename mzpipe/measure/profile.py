"""`profile`: a run of its own, in a directory of its own, measured once it is warm."""

import dataclasses
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from ..config import Profile
from ..errors import ExitCode, MzpipeError, UsageError
from ..ipc.dataplane import DataPlane
from ..ipc.roles import Role
from ..launch.signals import Outcome
from ..launch.train import train
from ..runs.directory import RunDirectory
from ..telemetry import View
from ..telemetry.rates import Count, Moment, read_count, read_moment
from ..telemetry.report import ProfileReport, make_report
from .ceilings import Ceilings
from .ceilings.measure import measure_ceilings, refuse_without_actors
from .trace import TraceReading, read_trace

# A process sleeps up to 20 ms, and a lap of a large network takes a second: in less than this neither averages out.
MIN_SECONDS = 5.0
# The learner has trained so many steps when the warm-up begins.
_WARM_STEPS = 5
# A trace begins with the measurement, and ends once a process has no room for more, or after this long. Written down,
# an event takes 100 to 200 bytes: room for so many, in all processes together, makes a file of 40 MB at most.
_TRACE_EVENTS, _TRACE_S = 200_000, 5.0
# Counts for rates over time: this far apart, and at most so many.
_INTERVAL_S, _MAX_COUNTS = 0.5, 240


class Windows(NamedTuple):
    """Seconds of what `--seconds` does not set."""

    # From the first learner steps to where measuring begins: games, rings and caches are filled then.
    warm_up: float = 10.0
    # Each role alone.
    alone: float = 5.0


WINDOWS = Windows()


class Measurement:
    """Watches a run: waits until it is warm, takes a moment, and another `seconds` later."""

    def __init__(self, seconds: float, *, trace: bool = False, warm_up_s: float = WINDOWS.warm_up) -> None:
        self._seconds, self._is_traced, self._warm_up_s = seconds, trace, warm_up_s
        self.trace: TraceReading | None = None
        self._interval_s = max(_INTERVAL_S, seconds / _MAX_COUNTS)
        self._warm_s: float | None = None
        self.first: Moment | None = None
        self.last: Moment | None = None
        # Between these two.
        self.counts: list[Count] = []
        self._count_at_s = 0.0

    def __call__(self, plane: DataPlane) -> str | None:
        """Why the run ends, once everything is measured."""
        now_s = time.monotonic()
        if self._is_traced:
            plane.trace().stop_when_full()
        if self._warm_s is None:
            if plane.total(Role.LEARNER, "loss_steps") >= _WARM_STEPS:
                self._warm_s = now_s
        elif self.first is None:
            if now_s - self._warm_s >= self._warm_up_s:
                self.first = read_moment(plane)
                if self._is_traced:
                    plane.trace().start(_TRACE_S)
                self._count_at_s = now_s + self._interval_s
        elif now_s - self.first.time_s >= self._seconds:
            self.last = read_moment(plane)
            if self._is_traced:
                self.trace = read_trace(plane)
            return f"measured for {self.last.time_s - self.first.time_s:.1f} s"
        elif now_s >= self._count_at_s:
            self.counts.append(read_count(plane))
            self._count_at_s = now_s + self._interval_s
        return None


class Measured(NamedTuple):
    """How the measurement ended, and what it found before."""

    outcome: Outcome
    report: ProfileReport | None
    ceilings: Ceilings | None = None
    trace: TraceReading | None = None
    # Why there are no ceilings; what was measured before stands.
    failure: MzpipeError | None = None


def measure_profile(
    profile: Profile,
    seconds: float,
    view: View,
    *,
    ceilings: bool = False,
    trace: bool = False,
    windows: Windows = WINDOWS,
) -> Measured:
    """Trains a profile for as long as it takes to measure `seconds` of it; then, if asked to, every role alone.

    No report where the run ended before it was measured, by a signal or by its own failure; no ceilings where either
    came later. Raises UsageError for fewer than MIN_SECONDS, and whatever stops a run from starting.
    """
    if not seconds >= MIN_SECONDS:
        raise UsageError(f"--seconds {seconds:g}: must be at least {MIN_SECONDS:g}, or slow stages are not seen")
    if ceilings:
        refuse_without_actors(profile)
    profile = _endless(profile)
    measurement = Measurement(seconds, trace=trace, warm_up_s=windows.warm_up)
    trace_events = _TRACE_EVENTS if trace else 0
    with tempfile.TemporaryDirectory(prefix="mzpipe-profile-") as directory:
        run = RunDirectory(Path(directory) / "run")
        outcome = train(profile, run, view, watch=measurement, trace_events=trace_events)
        if measurement.first is None or measurement.last is None:
            return Measured(outcome, None)
        cores = len(os.sched_getaffinity(0))
        report = make_report(measurement.first, measurement.last, cores, measurement.counts)
        measured = Measured(outcome, report, trace=measurement.trace)
        if not ceilings or outcome.exit_code != ExitCode.FINISHED:
            return measured
        try:
            found = measure_ceilings(profile, report, RunDirectory(Path(directory) / "alone"), windows.alone, view)
        except MzpipeError as error:
            return measured._replace(failure=error)
    return measured._replace(outcome=found) if isinstance(found, Outcome) else measured._replace(ceilings=found)


def _endless(profile: Profile) -> Profile:
    """Without the limits that could end it before it is measured; learner_steps stays, as schedules follow it."""
    return dataclasses.replace(
        profile, stop=dataclasses.replace(profile.stop, env_steps=None, minutes=None, return_mean=None)
    )
