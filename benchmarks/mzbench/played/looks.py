"""Trains a model on Pong's positions, and looks at the value as trained and as played.

The value at the root of held-out positions is looked at with three kinds of batch statistics:

trained   those of its own batch, as in training
played    those that the learner measures before it publishes
running   the running averages that training leaves behind, which is what torch would play
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mzpipe.config import Profile
from mzpipe.games import GameSpec
from mzpipe.learner.loss import Batch, unroll
from mzpipe.learner.statistics import PlayedStatistics, SavedBuffers
from mzpipe.learner.step import TrainingStep
from mzpipe.nets import Model
from mzpipe.nets.support import head_scalar

from .positions import Positions

FIRST_LOOK, LOOK_INTERVAL = 300, 25
_HELD_OUT = 320


class Look(NamedTuple):
    """The share of the targets' variance that the value explains (R2) after `step` steps."""

    step: int
    trained: float
    played: float
    running: float

    @property
    def gap(self) -> float:
        """What is lost between training and play."""
        return self.trained - self.played


def train(
    profile: Profile, game: GameSpec, positions: Positions, *, steps: int, progress: Callable[[int], None]
) -> Iterator[Look]:
    """Trains for so many steps; returns the looks on the way."""
    torch.manual_seed(profile.seed)
    rng, held_out_rng = np.random.default_rng(profile.seed), np.random.default_rng(profile.seed + 1)
    learner = replace(profile.learner, compile=False, cuda_graphs=False)
    model = Model(profile.network, game.observation_shape, game.num_actions, training_heads=True)
    training_step, statistics = TrainingStep(model, learner), PlayedStatistics(model)
    size = learner.batch_size
    held_out = [positions.draw(size, held_out_rng, held_out=True) for _ in range(-(-_HELD_OUT // size))]
    for step in range(1, steps + 1):
        batch = positions.draw(size, rng)
        training_step(batch)
        statistics.keep(batch)
        progress(step)
        if step >= FIRST_LOOK and (step - FIRST_LOOK) % LOOK_INTERVAL == 0:
            yield look(step, model, statistics, held_out)


@torch.no_grad()
def look(step: int, model: Model, statistics: PlayedStatistics, held_out: list[Batch]) -> Look:
    """One look, which leaves the model as it was."""
    buffers = SavedBuffers(model)
    running = explained(model.eval(), held_out)
    trained = explained(model.train(), held_out)
    buffers.restore()
    statistics.measure()
    played = explained(model.eval(), held_out)
    buffers.restore()
    model.train()
    return Look(step, trained, played, running)


@torch.no_grad()
def explained(model: Model, batches: list[Batch]) -> float:
    """1 - the mean squared error of the root's value / the variance of its targets."""
    target_B = torch.cat([batch.value_target_BK1[:, 0] for batch in batches])
    value_B = torch.cat([_root_values(model, batch) for batch in batches])
    return float(1.0 - (value_B - target_B).square().mean() / target_B.var(correction=0))


def _root_values(model: Model, batch: Batch) -> Tensor:
    """By the loss's unroll: in training, batch statistics are those of all its states."""
    outputs = unroll(model, batch.observation, batch.action_BK).value_logits_BK1M[:, 0]
    return head_scalar(outputs, model.value_bins)
