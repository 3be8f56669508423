"""The networks that the case measures, and weights with which they answer."""

import dataclasses

import numpy as np
import torch

from mzpipe.nets import FlatWeights, Model

from ..learner.work import ATARI100K, MLP, RESIDUAL, Work
from .lines import Setting

_SMALL_IMAGE, _SMALL_ACTIONS = 32, 5


def efficientzero(setting: Setting) -> Work:
    """EfficientZero's network, with its two additions, on its images."""
    network = dataclasses.replace(ATARI100K.network, value_prefix=True)
    return _sized(ATARI100K._replace(name="EfficientZero", network=network), setting)


def works(setting: Setting) -> list[Work]:
    """A network of every kind."""
    return [_sized(MLP, setting), _sized(RESIDUAL, setting), efficientzero(setting)]


def _sized(work: Work, setting: Setting) -> Work:
    if not setting.is_small:
        return work
    network = dataclasses.replace(
        work.network,
        hidden_size=8,
        num_channels=4,
        head_channels=2,
        head_hidden_size=4,
        value_support_size=5,
        reward_support_size=5,
        consistency_projection_size=8,
        consistency_hidden_size=4,
        lstm_size=8,
    )
    is_image = len(work.frame_shape) > 1
    frame_shape = (work.frame_shape[0], _SMALL_IMAGE, _SMALL_IMAGE) if is_image else work.frame_shape
    return work._replace(network=network, frame_shape=frame_shape, num_actions=min(work.num_actions, _SMALL_ACTIONS))


def drawn_weights(work: Work, seed: int) -> np.ndarray:
    """Weights as a learner publishes them; heads are not at their zeros, and no statistic is at its start."""
    torch.manual_seed(seed)
    model = Model(work.network, observation_shape(work), work.num_actions)
    with torch.no_grad():
        for parameter in model.parameters():
            inputs = parameter[0].numel() if parameter.ndim > 1 else 0
            parameter.add_(torch.randn_like(parameter) * (0.5 / inputs**0.5 if inputs else 0.1))
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    return FlatWeights(model).read()


def observation_shape(work: Work) -> tuple[int, ...]:
    """The shape of one stacked observation."""
    first, *rest = work.frame_shape
    return (work.frame_stack * first, *rest)


def drawn_observations(work: Work, count: int) -> np.ndarray:
    """Observations of noise."""
    random, shape = np.random.default_rng(0), (count, *observation_shape(work))
    if work.frame_dtype == "uint8":
        return random.integers(0, 256, shape, np.uint8)
    return random.standard_normal(shape, np.float32)
