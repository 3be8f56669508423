"""The sections `kernels`, `pipeline` and `atari100k`: whole profiles, as `mzpipe profile` measures them."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mzpipe.config import load_profile
from mzpipe.errors import MzpipeError
from mzpipe.games import describe_game
from mzpipe.launch.prepare import prepare
from mzpipe.launch.signals import SignalPipe
from mzpipe.measure.profile import Measured, Windows, measure_profile
from mzpipe.runs.directory import RunDirectory
from mzpipe.telemetry import SilentView
from mzpipe.telemetry.report import ProfileReport

from .lines import Bound, Line, Setting

PROFILES = Path(__file__).resolve().parents[3] / "profiles"
PONG = PROFILES / "atari-pong-gpu.toml"
_ATARI100K = PROFILES / "atari100k.toml"
# Sizes of every process, for tests.
SMALL = (
    *("game.atari.image_size=16", "search.num_simulations=4", "network.num_channels=4", "network.head_channels=2"),
    *("network.head_hidden_size=4", "network.value_support_size=20", "network.reward_support_size=5"),
    *("replay.capacity_bytes=4000000", "replay.min_size_to_sample=60", "replay.max_insert_lead=300"),
    *("replay.samples_per_insert=1.0", "learner.batch_size=8", "evaluator.episodes=1", "topology.actors=1"),
    *("topology.trees_per_lane=2", "topology.trajectory_ring_slots=4"),
)
_SECONDS = 10.0
_PONG_BOUNDS = (
    Bound("env_steps_per_s", "goal: Pong with 50 simulations while the learner trains", least=5e3, is_speed=True),
    Bound("learner_steps_per_s", "the learner trains", least=1e-3),
)
_CEILINGS = (
    Bound("efficiency", "goal: a tenth is lost between the processes", least=0.9, is_speed=True),
    Bound("through_lanes", "goal: lanes cost a tenth", least=0.9, is_speed=True),
)
_ATARI100K_BOUNDS = (Bound("learner_steps_per_s", "goal: 120,000 steps in 35 minutes", least=57.0, is_speed=True),)


def kernels(setting: Setting) -> Iterator[Line]:
    """Rehearses the profiles of the sections that follow."""
    for path in setting.pick((PONG, _ATARI100K), (PONG,)):
        began_s = time.monotonic()
        profile = load_profile(path, setting.pick((), SMALL))
        with (
            tempfile.TemporaryDirectory(prefix="mzpipe-bench-") as home,
            SignalPipe() as signals,
            RunDirectory(Path(home) / "run").locked() as locked,
            locked.runtime() as live,
        ):
            prepare(profile, describe_game(profile.game), live, SilentView(), signals)
        yield Line(f"{path.stem} rehearsed", {"seconds": time.monotonic() - began_s})


def pong(setting: Setting) -> Iterator[Line]:
    """Pong with 50 simulations, and each role alone."""
    overrides = setting.pick(("search.num_simulations=50",), SMALL)
    windows = setting.pick(Windows(warm_up=8.0, alone=3.0), Windows(warm_up=1.0, alone=0.3))
    measured = _measured(PONG, overrides, windows, setting, ceilings=True)
    report, ceilings = _report(measured), measured.ceilings
    yield Line("atari-pong-gpu, 50 simulations", _rates(report), _PONG_BOUNDS, report.verdict.sentence)
    for number, use in measured.gpus.items():
        yield Line(
            f"GPU {number}", {"busy": use.busy, "used_GiB": use.used_bytes / (1 << 30), "watts": use.watts or 0.0}
        )
    if measured.failure is not None:
        raise measured.failure
    if ceilings is None:
        raise MzpipeError(f"no ceilings: {measured.outcome.reason}")
    numbers = {str(role): each.env_steps_per_s for role, each in ceilings.roles.items()}
    numbers |= {"efficiency": ceilings.efficiency, "through_lanes": ceilings.inference_through_lanes}
    yield Line("env steps/s of each role alone", numbers, _CEILINGS, f"the lowest is {ceilings.lowest}")


def atari100k(setting: Setting) -> Iterator[Line]:
    """EfficientZero's recipe."""
    measured = _measured(_ATARI100K, setting.pick((), SMALL), Windows(warm_up=5.0), setting, ceilings=False)
    report = _report(measured)
    yield Line("atari100k", _rates(report), _ATARI100K_BOUNDS, report.verdict.sentence)


def _measured(path: Path, overrides: Sequence[str], windows: Windows, setting: Setting, *, ceilings: bool) -> Measured:
    profile = load_profile(path, overrides)
    return measure_profile(profile, setting.pick(_SECONDS, 5.0), SilentView(), ceilings=ceilings, windows=windows)


def _report(measured: Measured) -> ProfileReport:
    """Raises MzpipeError if the run ended before it was measured."""
    if measured.report is None:
        raise MzpipeError(f"nothing was measured: {measured.outcome.reason}")
    return measured.report


def _rates(report: ProfileReport) -> dict[str, float]:
    return {
        "env_steps_per_s": report.env_steps_per_s,
        "simulations_per_s": report.simulations_per_s,
        "learner_steps_per_s": report.learner_steps_per_s,
    }
