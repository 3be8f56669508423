"""`profile`: starts its own run in a temporary directory, and measures it once it is warm."""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from ..config import Profile
from ..errors import ExitCode, MzpipeError, UsageError
from ..ipc.dataplane import DataPlane
from ..ipc.roles import Role
from ..launch.progress import Onlooking
from ..launch.rehearsal import lacking_devices
from ..launch.signals import Outcome
from ..launch.train import train
from ..runs.directory import RunDirectory, scratch_directory
from ..telemetry import View
from ..telemetry.gpus import GpuReader, GpuUse, mean_uses
from ..telemetry.rates import Count, Moment, read_count, read_moment
from ..telemetry.report import ProfileReport, make_report
from ..telemetry.verdict import Hindrance
from .ceilings import Ceilings
from .ceilings.measure import measure_ceilings, refuse_without_actors
from .pods import PodsWatch, PodTraces, PodUse, playing_pods
from .trace import TraceReading, read_trace

# A process sleeps up to 20 ms, and a lap of a large network takes a second: averages need at least this long.
MIN_SECONDS = 5.0
# The warm-up begins once the learner has done this many steps.
_WARM_STEPS = 5
# An event takes 100 to 200 bytes in the file, so this many events, over all processes, make a file of 40 MB at most.
_TRACE_EVENTS = 200_000
# Counts for rates over time: the least interval between them, and the most of them.
_INTERVAL_S, _MAX_COUNTS = 0.5, 240
# Pods that do not play by then are not waited for; neither are traces that pods have not sent by then.
_PODS_S, _PODS_TRACES_S = 300.0, 20.0


class Windows(NamedTuple):
    """Seconds that `--seconds` does not set."""

    # From the first learner steps to the measurement: games, rings and caches are full by then.
    warm_up: float = 10.0
    # Each role alone.
    alone: float = 5.0
    # A trace, from the beginning of the measurement; it also ends when a process has no room for more events.
    trace: float = 5.0


WINDOWS = Windows()


class Measurement:
    """Watches a run: waits until it is warm, reads a `Moment`, and reads another one `seconds` later."""

    def __init__(
        self,
        seconds: float,
        *,
        trace: bool = False,
        windows: Windows = WINDOWS,
        note: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._seconds, self._is_traced, self._windows, self._note = seconds, trace, windows, note
        self.trace: TraceReading | None = None
        self._interval_s = max(_INTERVAL_S, seconds / _MAX_COUNTS)
        self._warm_s: float | None = None
        self.first: Moment | None = None
        self.last: Moment | None = None
        # Counts read between `first` and `last`.
        self.counts: list[Count] = []
        self._count_at_s = 0.0
        # What the processes did that the figures do not show.
        self._onlooking: Onlooking | None = None
        self.hindrances: list[Hindrance] = []
        self.lacking: frozenset[Role] = frozenset()
        self._gpus = GpuReader()
        # Readings of the machine's GPUs, with each count.
        self.gpu_uses: list[dict[str, GpuUse]] = []
        self.pods, self._pod_traces = PodsWatch(), PodTraces()
        self._began_s: float | None = None

    def __call__(self, plane: DataPlane) -> str | None:
        """The reason to end the run, once everything is measured; None until then."""
        now_s = time.monotonic()
        if self._is_traced:
            plane.trace().stop_when_full()
            self._pod_traces.look(plane)
        if self.last is not None:
            return self._end(plane, self.last, now_s)
        if self._warm_s is None:
            if plane.total("loss_steps") >= _WARM_STEPS and self._has_pods(plane, now_s):
                self._warm_s = now_s
        elif self.first is None:
            if now_s - self._warm_s >= self._windows.warm_up:
                self.first, self.lacking = read_moment(plane), lacking_devices(plane.directory)
                self.pods.begin(plane)
                self._onlooking = Onlooking(plane)
                self._onlooking.look()
                if self._is_traced:
                    plane.trace().start(self._windows.trace)
                    self._pod_traces.begin(plane)
                self._count_at_s = now_s + self._interval_s
        elif now_s - self.first.time_s >= self._seconds:
            self.last = read_moment(plane)
            self.pods.end(plane)
            self.hindrances = self._onlooking.look() if self._onlooking else []
            return self._end(plane, self.last, now_s)
        elif now_s >= self._count_at_s:
            self.counts.append(read_count(plane))
            self.gpu_uses.append(self._gpus.read())
            self._count_at_s = now_s + self._interval_s
        return None

    def _has_pods(self, plane: DataPlane, now_s: float) -> bool:
        missing = plane.shape.pods - len(playing_pods(plane))
        if missing and self._began_s is None:
            self._note(f"{missing} of {plane.shape.pods} pods do not play yet: waiting for them for {_PODS_S:.0f} s")
        self._began_s = now_s if self._began_s is None else self._began_s
        return not missing or now_s - self._began_s > _PODS_S

    def _end(self, plane: DataPlane, last: Moment, now_s: float) -> str | None:
        """The reason to end the run, once the pods' traces have come."""
        assert self.first is not None
        if self._is_traced:
            if not self._pod_traces.are_complete(plane) and now_s - last.time_s < _PODS_TRACES_S:
                return None
            self.trace = read_trace(plane, self._pod_traces.found)
        return f"measured for {last.time_s - self.first.time_s:.1f} s"


class Measured(NamedTuple):
    """The outcome of a measurement, and its results."""

    outcome: Outcome
    report: ProfileReport | None
    ceilings: Ceilings | None = None
    trace: TraceReading | None = None
    # The error that prevented the ceilings; the other results are valid.
    failure: MzpipeError | None = None
    # The mean use of the machine's GPUs, by their number in nvidia-smi.
    gpus: Mapping[str, GpuUse] = MappingProxyType({})
    pods: tuple[PodUse, ...] = ()


def measure_profile(
    profile: Profile,
    seconds: float,
    view: View,
    *,
    ceilings: bool = False,
    trace: bool = False,
    windows: Windows = WINDOWS,
    ray: str = "",
) -> Measured:
    """Trains a profile until `seconds` of it are measured; then, with `ceilings`, measures every role alone.

    There is no report if a signal or a failure ended the run before it was measured, and there are no ceilings if
    either came later. `ray` is the address of the Ray cluster that places the pods, or "auto". Raises UsageError for
    fewer than MIN_SECONDS, and any error that stops a run from starting.
    """
    if not seconds >= MIN_SECONDS:
        raise UsageError(f"--seconds {seconds:g}: must be at least {MIN_SECONDS:g}, or slow stages are missed")
    if ceilings:
        refuse_without_actors(profile)
    profile = _endless(profile)
    measurement = Measurement(seconds, trace=trace, windows=windows, note=view.line)
    trace_events = _TRACE_EVENTS if trace else 0
    with scratch_directory("profile") as directory:
        run = RunDirectory(directory / "run")
        outcome = train(profile, run, view, watch=measurement, trace_events=trace_events, ray=ray)
        if measurement.first is None or measurement.last is None:
            return Measured(outcome, None)
        cores = len(os.sched_getaffinity(0))
        report = make_report(
            measurement.first,
            measurement.last,
            cores,
            measurement.counts,
            lacking=measurement.lacking,
            hindrances=measurement.hindrances,
        )
        measured = Measured(
            outcome, report, trace=measurement.trace, gpus=mean_uses(measurement.gpu_uses), pods=measurement.pods.uses
        )
        if not ceilings or outcome.exit_code != ExitCode.FINISHED:
            return measured
        try:
            found = measure_ceilings(profile, report, RunDirectory(directory / "alone"), windows.alone, view)
        except MzpipeError as error:
            return measured._replace(failure=error)
    return measured._replace(outcome=found) if isinstance(found, Outcome) else measured._replace(ceilings=found)


def _endless(profile: Profile) -> Profile:
    """The profile without limits that could end it before it is measured; schedules need learner_steps, so it stays.

    It has no loggers: a measurement is no run to keep.
    """
    return dataclasses.replace(
        profile,
        stop=dataclasses.replace(profile.stop, env_steps=None, minutes=None, return_mean=None),
        telemetry=dataclasses.replace(profile.telemetry, loggers=()),
    )
