"""A reference of the case `replay`, if it is installed: cpprb with the same transitions, or the same priorities.

For the same steps, cpprb_buffer samples the data that Gatherer.fill writes.

Shape legend    N steps of an episode, places of a sampler   S frames of a stack
"""

from importlib import import_module
from typing import Any

import numpy as np

from mzpipe.ipc.columns import named

from .episodes import Episodes
from .references import numpy_gather, take_stacks
from .tables import ALPHA, FRAME_STACK, slot_layout


def load_cpprb() -> Any | None:
    """The module cpprb; None where it is not installed."""
    try:
        return import_module("cpprb")
    except ImportError:
        return None


def cpprb_buffer(cpprb: Any, episodes: Episodes) -> Any:
    """A ReplayBuffer that keeps each frame once (stack_compress), and precomputed targets of every transition."""
    total, targets = len(episodes.frame_T), _all_targets(episodes)
    channels, *rest = episodes.frame_T.shape[1:]
    fields = {name: {"shape": array.shape[1:] or 1, "dtype": array.dtype} for name, array in targets.items()}
    fields["observation"] = {"shape": (*rest, FRAME_STACK * channels), "dtype": episodes.frame_T.dtype}
    buffer = cpprb.ReplayBuffer(total, fields, stack_compress="observation")
    for first in np.unique(episodes.first_T).tolist():
        steps = np.arange(first, episodes.stop_T[first])
        observation = np.empty((len(steps), FRAME_STACK * channels, *rest), episodes.frame_T.dtype)
        stack_NS = steps[:, None] + np.arange(1 - FRAME_STACK, 1)
        take_stacks(episodes.frame_T, stack_NS, first, observation)
        buffer.add(
            observation=np.moveaxis(observation, 1, -1), **{name: array[steps] for name, array in targets.items()}
        )
        buffer.on_episode_end()
    return buffer


def _all_targets(episodes: Episodes) -> dict[str, np.ndarray]:
    """Every array of a batch except the observations, for all transitions in order."""
    frameless = episodes._replace(frame_T=np.zeros((len(episodes.frame_T), 1), np.uint8))
    layout = slot_layout(frameless, len(frameless.frame_T))
    slot = layout.record(bytearray(layout.nbytes))
    numpy_gather(frameless, np.arange(len(frameless.frame_T)), slot, np.random.default_rng(0))
    return {name: array for name, array in named(slot).items() if name != "frame"}


def prioritized_buffer(cpprb: Any, priority_N: np.ndarray) -> Any:
    """A PrioritizedReplayBuffer with these priorities; it stores one number per place, the minimum it accepts."""
    buffer = cpprb.PrioritizedReplayBuffer(len(priority_N), {"number": {"dtype": np.int8}}, alpha=ALPHA)
    buffer.add(number=np.zeros(len(priority_N), np.int8), priorities=priority_N)
    return buffer
