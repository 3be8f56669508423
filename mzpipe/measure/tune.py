"""`tune`: tries settings of the topology on this machine, one at a time, and keeps those that are faster.

Coordinate ascent from the unchanged profile: every knob is moved one step up and one
step down; a step that is faster by more than the noise is kept, and the search continues
in that direction. The unchanged profile is measured twice, and the difference of its two
rates is the noise. Settings that affect learning are not touched.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..config import Profile
from ..errors import MzpipeError, UsageError
from ..runtime.gpus import gpu_nodes
from ..telemetry.report import ProfileReport

# A step is kept only if it is faster by this fraction or by the measured noise, whichever is greater.
_LEAST_GAIN = 0.03
_SERVERS, _ACTORS, _TIMEOUT = "inference.devices", "topology.actors", "inference.batch_timeout_us"
# Inference servers on every GPU.
_GPU_SERVERS = "inference.devices of each GPU"
# Knobs to double and halve; the others change by one.
_DOUBLING = ("topology.trees_per_lane", "topology.trees_per_reanalyzer_lane", _TIMEOUT)
# Shorter time-outs count as 0, no time-out.
_LEAST_TIMEOUT_US = 50

Setting = Mapping[str, int]


@dataclass(frozen=True)
class Trial:
    """One setting and its rates; with a rate of None it could not run, and `note` says why."""

    setting: Setting
    rate: float | None
    env_steps_per_s: float = 0.0
    learner_steps_per_s: float = 0.0
    bottleneck: str = ""
    note: str = ""


@dataclass
class Tuning:
    """Every trial in order; `best` is the setting to keep, `noise` a fraction of the rate or None."""

    trials: list[Trial] = field(default_factory=list)
    best: Trial = field(default_factory=lambda: Trial({}, None))
    noise: float | None = None

    @property
    def base_rate(self) -> float:
        """The rate of the unchanged profile: the faster of its measurements."""
        return max(trial.rate or 0.0 for trial in self.trials if not trial.setting)

    @property
    def gain(self) -> float:
        """The gain of the best setting over the unchanged profile; 0 if that is the best."""
        return (self.best.rate or 0.0) / self.base_rate - 1.0


def knobs(profile: Profile) -> dict[str, int]:
    """The knobs of a profile with their current values."""
    topology = profile.topology
    found = {
        "topology.trees_per_lane": topology.trees_per_lane,
        **_servers(profile),
        "topology.lanes_per_actor": topology.lanes_per_actor,
        _ACTORS: topology.actors,
    }
    if not _on_gpus(profile.learner.devices):  # threads of a process on a GPU only wait
        found["learner.num_threads"] = profile.learner.num_threads
    if not _on_gpus(profile.inference.devices):
        found["inference.num_threads"] = profile.inference.num_threads
    if profile.reanalyze.fraction > 0.0:
        found |= {
            "topology.trees_per_reanalyzer_lane": topology.trees_per_reanalyzer_lane,
            "topology.lanes_per_reanalyzer": topology.lanes_per_reanalyzer,
            "topology.reanalyzers": topology.reanalyzers,
        }
    return {**found, _TIMEOUT: profile.inference.batch_timeout_us}


def as_override(name: str, value: int) -> str:
    """A knob's value as `--set` takes it; a number of inference servers becomes a list of devices."""
    device = {_SERVERS: "cpu", _GPU_SERVERS: "auto"}.get(name)
    return f"{name}={value}" if device is None else f"{_SERVERS}={json.dumps([device] * value)}"


def _servers(profile: Profile) -> dict[str, int]:
    """The knob of inference servers: those on the CPU, or those on each GPU; none if single GPUs are named."""
    devices = profile.inference.devices
    if set(devices) == {"auto"}:
        return {_GPU_SERVERS if _on_gpus(devices) else _SERVERS: len(devices)}
    return {_SERVERS: len(devices)} if set(devices) == {"cpu"} else {}


def _on_gpus(devices: tuple[int | str, ...]) -> bool:
    return "cpu" not in devices and ("auto" not in devices or bool(gpu_nodes()))


def tune(
    load: Callable[[Setting], Profile],
    measure: Callable[[Profile], ProfileReport | None],
    *,
    seconds: float,
    show: Callable[[Trial], None],
    now_s: Callable[[], float] = time.monotonic,
) -> Tuning:
    """Searches until the time is up or no step helps.

    `load` returns the profile with a setting; `measure` returns None when the person stops it. Their errors are raised
    for the unchanged profile; for any other setting they make a trial without a rate. Raises UsageError when the
    unchanged profile plays or learns nothing while it is measured, or is not measured at all.
    """
    return _Search(load, measure, now_s() + seconds, show, now_s).run()


class _Search:
    def __init__(
        self,
        load: Callable[[Setting], Profile],
        measure: Callable[[Profile], ProfileReport | None],
        deadline_s: float,
        show: Callable[[Trial], None],
        now_s: Callable[[], float],
    ) -> None:
        self._load, self._measure, self._deadline_s, self._show, self._now_s = load, measure, deadline_s, show, now_s
        self._tuning, self._is_over, self._start = Tuning(), False, dict[str, int]()

    def run(self) -> Tuning:
        """Runs the whole search."""
        tuning, self._start = self._tuning, knobs(self._load({}))
        first = self._try({})
        if first is None:
            raise UsageError("stopped before the unchanged profile was measured")
        if not first.rate:
            raise UsageError(
                f"the unchanged profile played {first.env_steps_per_s:.3g} env steps/s and learnt "
                f"{first.learner_steps_per_s:.3g} steps/s: measure longer (--seconds), or play while learning"
            )
        again, tuning.best = self._try({}), first
        if again is not None and again.rate:
            tuning.noise = abs(again.rate - first.rate) / first.rate
            tuning.best = max(first, again, key=lambda trial: trial.rate or 0.0)
        improved = True
        while improved and not self._is_over:
            helped = [self._climb(name) for name in self._start]
            improved = any(helped)
        return tuning

    def _climb(self, name: str) -> bool:
        """Moves this knob in a direction that helps until it no longer does; returns whether a step helped."""
        for steps in (_up, _down):
            helped = False
            for value in steps(name, self._standing(name)):
                if not self._improves(self._turned(name, value)):
                    break
                helped = True
            if helped:
                return True
        return False

    def _standing(self, name: str) -> int:
        return self._tuning.best.setting.get(name, self._start[name])

    def _turned(self, name: str, value: int) -> Setting:
        """The best setting with one knob changed; each server needs an actor, or it gets no requests."""
        setting = {**self._tuning.best.setting, name: value}
        has_servers = name in (_SERVERS, _GPU_SERVERS)
        return {**setting, _ACTORS: max(value, self._standing(_ACTORS))} if has_servers else setting

    def _improves(self, setting: Setting) -> bool:
        if self._is_over or any(setting == trial.setting for trial in self._tuning.trials):
            return False
        trial, best = self._try(setting), self._tuning.best.rate
        if trial is None or trial.rate is None or best is None:
            return False
        if trial.rate <= best * (1.0 + max(_LEAST_GAIN, self._tuning.noise or 0.0)):
            return False
        self._tuning.best = trial
        return True

    def _try(self, setting: Setting) -> Trial | None:
        """Measures a setting; None once the time is up or the person has stopped it."""
        if self._is_over or (self._tuning.trials and self._now_s() >= self._deadline_s):
            self._is_over = True
            return None
        try:
            profile = self._load(setting)
            report = self._measure(profile)
        except MzpipeError as error:
            if not self._tuning.trials:
                raise
            trial = Trial(setting, None, note=str(error))
        else:
            if report is None:
                self._is_over = True
                return None
            trial = _trial(setting, profile, report)
        self._tuning.trials.append(trial)
        self._show(trial)
        return trial


def _trial(setting: Setting, profile: Profile, report: ProfileReport) -> Trial:
    """A trial; its rate is that of the slower side: env steps played, or env steps that the learner has used up."""
    used = report.learner_steps_per_s * profile.learner.batch_size / profile.replay.samples_per_insert
    return Trial(
        setting=setting,
        rate=min(report.env_steps_per_s, used),
        env_steps_per_s=report.env_steps_per_s,
        learner_steps_per_s=report.learner_steps_per_s,
        bottleneck=report.verdict.stage,
    )


def _up(name: str, value: int) -> Iterator[int]:
    while True:
        value = max(2 * value, _least(name)) if name in _DOUBLING else value + 1
        yield value


def _down(name: str, value: int) -> Iterator[int]:
    while value > (0 if name == _TIMEOUT else 1):
        value = value // 2 if name in _DOUBLING else value - 1
        value = 0 if name == _TIMEOUT and value < _LEAST_TIMEOUT_US else value
        yield value


def _least(name: str) -> int:
    """The first value above 0."""
    return _LEAST_TIMEOUT_US if name == _TIMEOUT else 1
