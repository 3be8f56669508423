"""What a network costs, and how long it takes next to the one that mzpipe has for such a game.

The two take turns in one process, so that what else the machine does meets both.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from ...errors import OwnCodeError
from ...extras import is_installed
from ...format import count, number
from ...launch.plan import operations
from ...nets import FlatWeights
from ...nets.cost import inference_flops
from ...nets.engines.own_networks import random_observations
from .engines import CPU_RUNTIMES, Remark, in_runtime, networks_of
from .trial import Trial, built_in

_TURNS, _TURN_S, _MOST_ROWS = 7, 0.05, 64
_RIVAL = "mzpipe's"


def _cost(trial: Trial) -> str:
    flops = inference_flops(trial.model, trial.sample)
    parameters = sum(parameter.numel() for parameter in trial.made(0, training_heads=True).parameters())
    return Remark(
        f"{count(parameters)} parameters, {operations(flops.root)} per root inference, "
        f"{operations(flops.recurrent)} per recurrent one, {count(4 * trial.model.state_size)} bytes per hidden state"
    )


def _start(trial: Trial) -> str:
    model = trial.fresh.eval()
    root, child = trial.walk(model, trial.observations(_MOST_ROWS))
    policy = torch.softmax(root.policy_logits_BA[:, : trial.game.num_actions], dim=-1)
    value, reward = (float(each.abs().max()) for each in (model.value(root), model.reward(child)))
    return Remark(
        f"before training: likeliest action {float(policy.max()):.2g} (uniform: {1.0 / trial.game.num_actions:.2g}), "
        f"values up to {value:.2g}, rewards up to {reward:.2g}; mzpipe's own networks start uniform and at 0"
    )


def _inference(trial: Trial) -> str:
    rows = min(trial.profile.topology.trees_per_lane, _MOST_ROWS)
    tasks = {runtime: task for runtime in ("torch", *CPU_RUNTIMES) if (task := _in_runtime(trial, runtime, rows))}
    rival = _rival(trial)
    if rival is not None:
        tasks[_RIVAL] = _children(rival, "auto", rows)
    medians = _medians(tasks)
    mzpipes = medians.pop(_RIVAL, None)
    times = ", ".join(f"{number(1e3 * seconds)} ms in {runtime}" for runtime, seconds in medians.items())
    return Remark(f"{rows} recurrent ones: {times}{_ratio(min(medians.values()), mzpipes, rival)}")


def _in_runtime(trial: Trial, runtime: str, rows: int) -> Callable[[], object] | None:
    """None where the runtime is missing, or does not run it, as another check says."""
    if runtime in CPU_RUNTIMES and not (is_installed(runtime) and is_installed("onnx")):
        return None
    try:
        return _children(trial, runtime, rows)
    except OwnCodeError:
        return None


def _training(trial: Trial) -> str:
    rival = _rival(trial)
    tasks = {"own": _steps(trial), **({} if rival is None else {_RIVAL: _steps(rival)})}
    medians, unrolls = _medians(tasks), len(trial.batch().weight_B)
    seconds = medians["own"]
    return Remark(
        f"a step of {unrolls} unrolls: {number(1e3 * seconds)} ms{_ratio(seconds, medians.get(_RIVAL), rival)}"
    )


def _ratio(seconds: float, mzpipes: float | None, rival: Trial | None) -> str:
    if mzpipes is None or rival is None:
        return ""
    return f"; {number(seconds / mzpipes)} times as long as mzpipe's {rival.profile.network.kind} of default size"


def _rival(trial: Trial) -> Trial | None:
    """The network that mzpipe has for such a game; None if it is the one under trial."""
    return Trial(built_in(trial.profile, trial.game)) if trial.profile.network.is_own else None


def _children(trial: Trial, runtime: str, rows: int) -> Callable[[], object]:
    (network,) = networks_of(trial, in_runtime(trial.profile, runtime), rows)
    network.load(FlatWeights(trial.model).read())
    source_R = np.arange(rows)
    action_R = (source_R % trial.game.num_actions).astype(np.int32)
    network.infer_roots(random_observations(trial.sample, rows), source_R)
    return lambda: network.infer_children(source_R, source_R + rows, action_R)


def _steps(trial: Trial) -> Callable[[], object]:
    _, step = trial.training_step()
    batch = trial.batch()
    return lambda: step(batch)


def _medians(tasks: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of one call of each, the median of some turns."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for _ in range(_TURNS):
        for name, task in tasks.items():
            began_s, calls = time.monotonic(), 0
            while calls == 0 or time.monotonic() - began_s < _TURN_S:
                task()
                calls += 1
            seconds[name].append((time.monotonic() - began_s) / calls)
    return {name: statistics.median(each) for name, each in seconds.items()}


SPEEDS: dict[str, Callable[[Trial], str]] = {
    "start": _start,
    "cost": _cost,
    "inference time": _inference,
    "training time": _training,
}
