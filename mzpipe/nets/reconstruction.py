"""Reconstruction: a decoder reads the observation back from the hidden state, at the root and after each action.

So the state has to know what the observation shows, and the dynamics what an action does to it, before any value tells
(Scholz et al. 2021, "Improving Model-Based Reinforcement Learning with Internal State Representations through
Self-Supervision"; Anand et al. 2022, "Procedural Generalization by Planning with Self-Supervised World Models"). Only
training needs the decoder, as the modules of `consistency`.
"""

from math import prod

from torch import nn

from ..config import NetworkConfig


def make_decoder(
    config: NetworkConfig, state_shape: tuple[int, ...], observation_shape: tuple[int, ...]
) -> nn.Module | None:
    """Hidden states [R, ...] -> what `Model.observe` returns [R, ...]; None if the profile has it off.

    A board's planes are read cell by cell and its neighbours; `validate` refuses other images.
    """
    if not config.reconstruction:
        return None
    if config.kind == "residual":
        channels = state_shape[0]
        return nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, observation_shape[0], 1)
        )
    return nn.Sequential(
        nn.Linear(prod(state_shape), config.hidden_size),
        nn.ReLU(),
        nn.Linear(config.hidden_size, prod(observation_shape)),
        nn.Unflatten(1, observation_shape),
    )
