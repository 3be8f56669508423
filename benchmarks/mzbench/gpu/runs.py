"""The sections `memory` and `kills`: a whole run, the card's memory while it lives, and what is left after kills."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path

import torch

from mzpipe.config import Profile, load_profile
from mzpipe.errors import ExitCode, MzpipeError
from mzpipe.games import describe_game
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.launch.plan import make_plan
from mzpipe.launch.rehearsal import read_prepared
from mzpipe.launch.signals import Outcome
from mzpipe.launch.supervisor import Watch
from mzpipe.launch.train import train
from mzpipe.nets import use_device
from mzpipe.runs.directory import RunDirectory
from mzpipe.telemetry import SilentView

from .lines import Bound, Line, Setting
from .pipeline import PONG, SMALL

_MIB = 1 << 20
# Steps after which every buffer of a run is in use.
_WARM_STEPS = 30
# The driver takes a moment to free what a killed process held.
_FREED_WITHIN_S = 2.0
_LEARNER, _INFERENCE = Member(Role.LEARNER, 0), Member(Role.INFERENCE, 0)
_MEMORY = Bound("used_over_planned", "a run that the plan lets through fits the card", most=1.0)
_RESUMED = (
    Bound("restarts", "a killed learner is started again", least=1.0, most=1.0),
    Bound("steps_after", "and trains", least=1.0),
)
_ENDED = (
    Bound("exit_code", "README: the death of the inference server ends the run", least=70.0, most=70.0),
    Bound("seconds", "no process waits for a dead one", most=2.0, is_speed=True),
    Bound("directories_left", "nothing is left in /dev/shm", most=0.0),
    Bound("held_MiB", "nothing is left on the card", most=64.0),
)


def memory(setting: Setting) -> Iterator[Line]:
    """What a run takes of the card, and what its plan has counted."""
    free = _free_bytes(setting)
    watch = _MemoryWatch(setting)
    _trained(_profile(setting), watch)
    if watch.planned == 0:
        raise MzpipeError("the run ended before its memory was read")
    used = max(0, free - watch.least_free)
    numbers = {
        "used_MiB": used / _MIB,
        "planned_MiB": watch.planned / _MIB,
        "used_over_planned": used / watch.planned,
    }
    yield Line("atari-pong-gpu", numbers, (_MEMORY,))


def kills(setting: Setting) -> Iterator[Line]:
    """Kills the learner, waits until it trains again, and kills the server, whose batches are on the card."""
    free, watch = _free_bytes(setting), _KillsWatch()
    outcome = _trained(_profile(setting), watch)
    yield Line(
        "kill -9 learner-0", {"restarts": float(watch.restarts), "steps_after": float(watch.steps_after)}, _RESUMED
    )
    seconds = time.monotonic() - watch.server_killed_s if watch.server_killed_s else float("nan")
    deadline_s = time.monotonic() + _FREED_WITHIN_S
    while (held := free - _free_bytes(setting)) > 0 and time.monotonic() < deadline_s:
        pass
    numbers = {
        "exit_code": float(outcome.exit_code),
        "seconds": seconds,
        "directories_left": float(watch.runtime is None or watch.runtime.exists()),
        "held_MiB": held / _MIB,
    }
    yield Line("kill -9 inference-0", numbers, _ENDED, "" if outcome.exit_code == ExitCode.INTERNAL else outcome.reason)


def _free_bytes(setting: Setting) -> int:
    """Free bytes of the card; this process's own context is there before the first reading."""
    use_device(setting.device, "auto")
    torch.zeros(1, device=setting.device)
    return int(torch.cuda.mem_get_info(setting.device)[0])


def _profile(setting: Setting) -> Profile:
    return load_profile(PONG, setting.pick((), SMALL))


def _trained(profile: Profile, watch: Watch) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="mzpipe-bench-") as home:
        return train(profile, RunDirectory(Path(home) / "run"), SilentView(), watch=watch)


class _MemoryWatch:
    """Reads the card's free memory once the run is warm, and the plan that the run was started with."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self.least_free, self.planned = 0, 0

    def __call__(self, plane: DataPlane) -> str | None:
        if plane.total(Role.LEARNER, "loss_steps") < _WARM_STEPS:
            return None
        profile, prepared = _profile(self._setting), read_prepared(plane.directory)
        plan = make_plan(profile, describe_game(profile.game), prepared.devices, prepared.model)
        self.planned = sum(plan.device_bytes()[self._setting.device].values())
        self.least_free = _free_bytes(self._setting)
        return "memory is read"


class _State(Enum):
    WARMING, RESTARTING, TRAINING, ENDING = auto(), auto(), auto(), auto()


class _KillsWatch:
    """Kills the learner once the run is warm, and the inference server once another learner trains."""

    def __init__(self) -> None:
        self._state, self._pid, self._steps = _State.WARMING, 0, 0
        self.restarts = self.steps_after = 0
        self.server_killed_s = 0.0
        self.runtime: Path | None = None

    def __call__(self, plane: DataPlane) -> str | None:
        learner, self.runtime = plane.counters(_LEARNER), plane.directory
        if self._state is _State.WARMING and learner.get("learner_steps") >= _WARM_STEPS:
            self._pid, self._state = learner.get("pid"), _State.RESTARTING
            os.kill(self._pid, signal.SIGKILL)
        elif self._state is _State.RESTARTING and learner.get("pid") != self._pid:
            self.restarts, self._steps, self._state = 1, learner.get("learner_steps"), _State.TRAINING
        elif self._state is _State.TRAINING:
            self._steps = min(self._steps, learner.get("learner_steps"))  # it resumes from its checkpoint
            self.steps_after = learner.get("learner_steps") - self._steps
            if self.steps_after > 0:
                self._state, self.server_killed_s = _State.ENDING, time.monotonic()
                os.kill(plane.counters(_INFERENCE).get("pid"), signal.SIGKILL)
        return None
