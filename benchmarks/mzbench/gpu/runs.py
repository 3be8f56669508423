"""The sections `memory` and `kills`: a whole run, the card's memory while it lives, and what is left after kills."""

import math
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from mzpipe.config import Profile, load_profile
from mzpipe.errors import MzpipeError
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
_WARM_STEPS, _FEW_STEPS = 30, 3
# The driver takes a moment to free what a killed process held.
_FREED_WITHIN_S = 2.0
_MEMORY = Bound("used_over_planned", "a run that the plan lets through fits the card", most=1.0)
_RESTARTED = (
    Bound("restarts", "README: a killed process is started again", least=1.0),
    Bound("items_after", "and works", least=1.0),
)
_ENDED = (
    Bound("exit_code", "README: a run that is stopped ends with 0", least=0.0, most=0.0),
    Bound("seconds", "README: a run ends within 10 s", most=10.0, is_speed=True),
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
    """Kills the learner, then the server whose batches are on the card; each must work again before the run ends."""
    free, watch = _free_bytes(setting), KillsWatch(setting.pick(_WARM_STEPS, _FEW_STEPS))
    outcome = _trained(_profile(setting), watch)
    seconds = time.monotonic() - watch.ended_s
    for kill in watch.kills:
        numbers = {"restarts": float(kill.restarts), "items_after": float(kill.items_after), "seconds": kill.seconds}
        yield Line(f"kill -9 {kill.member.identity}", numbers, _RESTARTED)
    deadline_s = time.monotonic() + _FREED_WITHIN_S
    while (held := free - _free_bytes(setting)) > 0 and time.monotonic() < deadline_s:
        pass
    numbers = {
        "exit_code": float(outcome.exit_code),
        "seconds": seconds,
        "directories_left": float(watch.runtime is None or watch.runtime.exists()),
        "held_MiB": held / _MIB,
    }
    yield Line("the end of that run", numbers, _ENDED, outcome.reason if outcome.exit_code else "")


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
        if plane.total("loss_steps") < self._setting.pick(_WARM_STEPS, _FEW_STEPS):
            return None
        profile, prepared = _profile(self._setting), read_prepared(plane.directory)
        plan = make_plan(profile, describe_game(profile.game), prepared.devices, prepared.model)
        self.planned = sum(plan.device_bytes()[self._setting.device].values())
        self.least_free = _free_bytes(self._setting)
        return "memory is read"


@dataclass
class Kill:
    """A process to kill, and what the process does that takes its place."""

    member: Member
    # Counts what the process does.
    counter: str
    restarts: int = 0
    items_after: int = 0
    # From the kill to the first item after it.
    seconds: float = math.nan
    _pid: int = 0
    _killed_s: float = 0.0
    _items: int = 0

    def look(self, plane: DataPlane) -> bool:
        """Kills when it is called first; returns whether another process has worked since."""
        counters = plane.counters(self.member)
        items = counters.get(self.counter)
        if not self._pid:
            self._pid, self._killed_s = counters.get("pid"), time.monotonic()
            os.kill(self._pid, signal.SIGKILL)
        elif not self.restarts:
            self.restarts, self._items = int(counters.get("pid") != self._pid), items
        else:
            self._items = min(self._items, items)  # a learner resumes from its checkpoint
            self.items_after = items - self._items
            self.seconds = time.monotonic() - self._killed_s
        return self.items_after > 0


class KillsWatch:
    """Kills one process after the other once the run is warm, and ends the run when all work again."""

    def __init__(self, warm_steps: int) -> None:
        self.kills = (Kill(Member(Role.LEARNER, 0), "learner_steps"), Kill(Member(Role.INFERENCE, 0), "batches"))
        self.ended_s = math.nan
        self.runtime: Path | None = None
        self._waiting, self._is_warm, self._warm_steps = list(self.kills), False, warm_steps

    def __call__(self, plane: DataPlane) -> str | None:
        """Looks at the run."""
        self.runtime = plane.directory
        self._is_warm = self._is_warm or plane.counters(self.kills[0].member).get("learner_steps") >= self._warm_steps
        if self._is_warm and self._waiting and self._waiting[0].look(plane):
            self._waiting.pop(0)
        if self._waiting:
            return None
        self.ended_s = time.monotonic()
        return "what was killed works again"
