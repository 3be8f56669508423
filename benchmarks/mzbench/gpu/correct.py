"""The section `correct`: what the card answers and learns, against the CPU in float32.

Shape legend    R rows   C = 2 + A columns
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from mzpipe.learner.batches import load_batch
from mzpipe.learner.step import TrainingStep
from mzpipe.measure.ceilings.noise import fill_batch
from mzpipe.nets import Model, device_has_bfloat16, place_model, use_device
from mzpipe.nets.engines import Network
from mzpipe.nets.engines.torch_flight import Runway
from mzpipe.nets.engines.torch_network import make_torch_networks

from ..learner.work import Work, make_profile, make_shape, private_slot
from .lines import CAPTURED, Bound, Line, Setting
from .works import drawn_observations, drawn_weights, observation_shape, works

_DEPTH, _STEPS = 4, 3
# The worst difference of all answers, in spreads of an answer. Networks of few channels average less rounding away.
_SMALL_FACTOR = 3.0
_WORST = {
    "float32": Bound("worst", "float32 in another order", most=2e-3),
    "tf32": Bound("worst", "factors of 10 bits", most=5e-2),
    "bfloat16": Bound("worst", "8 bits, over five inferences", most=0.5),
}
_LOSSES = {
    "float32": Bound("worst", "float32 in another order, over three steps", most=2e-3),
    "tf32": Bound("worst", "factors of 10 bits, over three steps", most=2e-2),
    "bfloat16": Bound("worst", "8 bits, over three steps", most=0.1),
}
_SWAPPED = (
    Bound("changed_by_others", "another version answers otherwise", least=0.5),
    Bound("changed_after_reload", "weights are loaded in place: the same bits", most=0.0),
)


def measure(setting: Setting) -> Iterator[Line]:
    """Walks every network, and trains it, in every precision."""
    for work in works(setting):
        walk = _Walk(work, setting)
        (on_cpu,) = walk.networks("cpu", "float32", 1)
        expected_RC = walk.answers(on_cpu, 1)
        losses = _losses(work, setting, "cpu", "float32")
        for precision in _precisions(setting):
            refused: list[str] = []
            network, other = walk.networks(setting.device, precision, 2, refused)
            found_RC = walk.answers(network, 1)
            worst = float((np.abs(found_RC - expected_RC) / np.maximum(expected_RC.std(0), 1e-3)).max())
            numbers = {"worst": worst, "refused": float(len(refused))}
            yield Line(f"answers {work.name} {precision}", numbers, _bounds(precision, setting), " ".join(refused))
            yield _swapped(f"versions {work.name} {precision}", walk, other)
            worst = float(np.abs(_losses(work, setting, setting.device, precision) / losses - 1.0).max())
            yield Line(f"losses {work.name} {precision}", {"worst": worst}, (_LOSSES[precision],))


def _bounds(precision: str, setting: Setting) -> tuple[Bound, Bound]:
    bound = _WORST[precision]
    assert bound.most is not None
    return replace(bound, most=bound.most * setting.pick(1.0, _SMALL_FACTOR)), CAPTURED


def _precisions(setting: Setting) -> list[str]:
    return [name for name in _WORST if name != "bfloat16" or device_has_bfloat16(torch.device(setting.device))]


def _swapped(name: str, walk: "_Walk", network: Network) -> Line:
    """Whether other weights change every answer, and the former ones bring each bit back."""
    first_RC, others_RC, again_RC = (walk.answers(network, seed) for seed in (1, 2, 1))
    numbers = {
        "changed_by_others": float((first_RC != others_RC).mean()),
        "changed_after_reload": float((first_RC != again_RC).mean()),
    }
    return Line(name, numbers, _SWAPPED)


class _Walk:
    """Roots and a chain of children below each, the same for every network of a work."""

    def __init__(self, work: Work, setting: Setting) -> None:
        self._work, self._num_rows = work, setting.pick(64, 3)
        self._observation_R = drawn_observations(work, self._num_rows)
        random = np.random.default_rng(1)
        self._action_DR = random.integers(0, work.num_actions, (_DEPTH, self._num_rows), np.int32)

    def networks(self, device: str, precision: str, count: int, refused: list[str] | None = None) -> list[Network]:
        """Networks over one pool; `refused` gets what a card would not capture."""
        use_device(device, precision)
        work = self._work
        made = make_torch_networks(
            Model(work.network, observation_shape(work), work.num_actions),
            torch.from_numpy(self._observation_R[:1]),
            work.num_actions,
            Runway(torch.device(device), (refused if refused is not None else []).append),
            count=count,
            pool_rows=(1 + _DEPTH) * self._num_rows,
            max_batch=self._num_rows,
            bfloat16=precision == "bfloat16",
        )
        return list(made)

    def answers(self, network: Network, seed: int) -> np.ndarray:
        """All answers with these weights."""
        network.load(drawn_weights(self._work, seed))
        row_R = np.arange(self._num_rows)
        found = [network.infer_roots(self._observation_R, row_R).copy()]
        for action_R in self._action_DR:
            found.append(network.infer_children(row_R, row_R + self._num_rows, action_R).copy())
            row_R = row_R + self._num_rows
        return np.concatenate(found).astype(np.float64)


def _losses(work: Work, setting: Setting, device: str, precision: str) -> np.ndarray:
    """The losses of a few training steps, from the same weights on the same batch."""
    use_device(device, precision)
    profile = make_profile(work, setting.pick(8, 2), 1, precision=precision, optimizer="sgd", learning_rate=1e-2)
    shape = make_shape(work, profile)
    torch.manual_seed(0)
    model = Model(work.network, shape.observation_shape, shape.num_actions, training_heads=True)
    step, slot = TrainingStep(place_model(model, device), profile.learner), private_slot(shape)
    fill_batch(slot, np.random.default_rng(0))
    batch = load_batch(slot.unrolls, torch.device(device))
    return np.array([float(step(batch).losses.total) for _ in range(_STEPS)])
