"""What the checks of a network share: its models, inputs that repeat, and a batch as the learner takes it.

Shape legend    R rows of a batch   B unrolls   K unroll steps   A actions
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from ...config import NetworkConfig, Profile
from ...games import GameSpec, describe_game
from ...learner.loss import Batch
from ...learner.step import TrainingStep
from ...nets import Model
from ...nets.engines.networks import sample_observation
from ...nets.engines.own_networks import moved, random_observations
from ...nets.model import NetworkOutput

_MOST_UNROLLS = 64


class Trial:
    """A profile's network under trial."""

    def __init__(self, profile: Profile) -> None:
        self.profile, self.game = profile, describe_game(profile.game)
        self.sample = sample_observation(self.game)
        self.fresh = self.made(0)
        self.model = self._moved(self.fresh)

    def made(self, seed: int, *, training_heads: bool = False) -> Model:
        """A new model; draws no number of the caller's."""
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            game, network = self.game, self.profile.network
            sizes = (game.observation_shape, game.num_actions)
            return Model(network, *sizes, action_size=game.action_size, training_heads=training_heads)

    def _moved(self, model: Model) -> Model:
        """In evaluation mode, with weights that are none of the first ones: heads often start at zero."""
        model = moved(model)
        model.take_mean(self.observations(_MOST_UNROLLS), 1.0)
        return model

    def observations(self, rows: int) -> Tensor:
        """Stacked observations [R, ...], the same in every call."""
        return torch.from_numpy(random_observations(self.sample, rows))

    def actions(self, rows: int, step: int = 0) -> Tensor:
        """Actions [R], int32 as in a batch: all of them in turn."""
        return ((torch.arange(rows) + step) % self.game.num_actions).to(torch.int32)

    def dynamics_actions(self, rows: int) -> Tensor:
        """Actions as the dynamics takes them: the same, int64, or random vectors [R, D]."""
        if not self.game.action_size:
            return self.actions(rows).long()
        return torch.from_numpy(self._vectors(rows, self.game.action_size))

    @staticmethod
    def _vectors(*shape: int) -> np.ndarray:
        return np.random.default_rng(0).uniform(-1.0, 1.0, shape).astype(np.float32)

    @torch.no_grad()
    def walk(self, model: Model, observation: Tensor, num_steps: int = 1) -> list[NetworkOutput]:
        """The outputs of a root inference and of this many recurrent ones, one after the other."""
        outputs = [model.initial_inference(observation)]
        for step in range(num_steps):
            action = self.actions(len(observation), step)
            outputs.append(model.recurrent_inference(outputs[-1].hidden_state, action))
        return outputs

    def batch(self) -> Batch:
        """A batch of random targets, with every mask set."""
        profile, game, rng = self.profile, self.game, np.random.default_rng(0)
        unrolls, steps = min(profile.learner.batch_size, _MOST_UNROLLS), profile.learner.num_unroll_steps
        follows = steps if profile.network.sees_next else 0
        numbers = (1 + game.num_actions) * game.action_size
        frames = (unrolls, game.frame_stack + follows, *game.frame_shape)
        is_bytes = game.frame_dtype == "uint8"
        frame = rng.integers(0, 256, frames, np.uint8) if is_bytes else rng.normal(size=frames).astype(np.float32)
        policy = rng.dirichlet(np.ones(game.num_actions), (unrolls, steps + 1)).astype(np.float32)
        return Batch(
            frame_BF=torch.from_numpy(frame),
            action_BK=torch.from_numpy(rng.integers(0, game.num_actions, (unrolls, steps), np.int32)),
            value_target_BK1=torch.from_numpy(rng.uniform(-1, 1, (unrolls, steps + 1)).astype(np.float32)),
            value_mask_BK1=torch.ones(unrolls, steps + 1),
            reward_target_BK=torch.from_numpy(rng.uniform(-1, 1, (unrolls, steps)).astype(np.float32)),
            reward_mask_BK=torch.ones(unrolls, steps),
            policy_target_BK1A=torch.from_numpy(policy),
            policy_mask_BK1=torch.ones(unrolls, steps + 1),
            weight_B=torch.ones(unrolls),
            observation_mask_BK=torch.ones(unrolls, steps) if follows else None,
            vectors_BK1V=torch.from_numpy(self._vectors(unrolls, steps + 1, numbers)) if numbers else None,
        )

    def training_step(self) -> tuple[Model, TrainingStep]:
        """A model as the learner makes it, and its step on a CPU."""
        model = self._moved(self.made(0, training_heads=True)).train().requires_grad_(True)
        config = dataclasses.replace(self.profile.learner, compile=False, cuda_graphs=False, precision="float32")
        return model, TrainingStep(model, config)


def built_in(profile: Profile, game: GameSpec) -> Profile:
    """The same profile with the network that mzpipe has for such a game, at its default size."""
    kept = ("heads", "value_support_size", "reward_support_size", "state_scaling", "consistency", "reconstruction")
    same = {name: getattr(profile.network, name) for name in kept}
    if len(game.observation_shape) == 1:
        network = NetworkConfig(kind="mlp", **same)
    else:
        network = NetworkConfig(kind="residual", downsample="atari" if game.has_images else "none", **same)
    return dataclasses.replace(profile, network=network)
