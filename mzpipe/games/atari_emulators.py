"""Builds ale_py's vector environment as `game.atari` says."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ale_py.vector_env import AtariVectorEnv
from numpy.typing import NDArray

from ..config import GameConfig
from .names import atari_names

# Height and width of the screen.
SCREEN = (210, 160)
_ALL = np.ones(1, np.bool_)


class AtariScreen:
    """A copy of game 0 of a batch, played in an environment of its own from the seeded reset on."""

    def __init__(self, make_env: Callable[[], AtariVectorEnv], seed: int) -> None:
        self._env = make_env()
        self._screen, _ = self._env.reset(seed=np.array([seed]))

    def step(self, action: int) -> None:
        """Plays the action that game 0 played."""
        self._screen = self._env.step(np.array([action], np.int64))[0]

    def restart(self) -> None:
        """Resets the copy as game 0 was reset."""
        self._screen, _ = self._env.reset(options={"reset_mask": _ALL})

    def picture(self) -> NDArray[np.uint8]:
        """Returns the screen, uint8 [210, 160, 3], max-pooled like frames."""
        picture: NDArray[np.uint8] = self._screen[0, 0]
        return picture

    def close(self) -> None:
        """Stops the emulator."""
        self._env.close()
        vars(self._env).pop("ale", None)


class EmulatorUse(NamedTuple):
    """The settings of a batch of emulators that differ between training and evaluation."""

    training: bool
    # Emulator frames after which an episode is truncated.
    max_frames: int
    # Height and width of a frame.
    image_shape: tuple[int, int]


def emulator_use(config: GameConfig, *, training: bool) -> EmulatorUse:
    """Returns the configuration's settings for training games, or for evaluation games."""
    side = config.atari.image_size
    return EmulatorUse(training, _max_frames(config, training=training), (side, side))


def make_emulators(config: GameConfig, num_games: int, num_threads: int, use: EmulatorUse) -> AtariVectorEnv:
    """`num_games` emulators of one cartridge; clipping and life loss hold in training only."""
    atari = config.atari
    return AtariVectorEnv(
        atari_names()[config.name],
        num_games,
        num_threads=num_threads,
        max_num_frames_per_episode=use.max_frames,
        repeat_action_probability=atari.sticky_actions,
        full_action_space=atari.full_action_space,
        img_height=use.image_shape[0],
        img_width=use.image_shape[1],
        grayscale=atari.grayscale,
        stack_num=1,
        frameskip=atari.frame_skip,
        maxpool=atari.max_pool,
        noop_max=atari.noop_max + 1,
        life_loss_info=use.training and atari.life_loss_terminates,
        reward_clipping=use.training and atari.clip_rewards,
        use_fire_reset=False,
    )


def _max_frames(config: GameConfig, *, training: bool) -> int:
    caps = [config.atari.max_episode_frames]
    if training and config.atari.max_training_frames:
        caps.append(config.atari.max_training_frames)
    if config.max_episode_moves:
        caps.append(config.max_episode_moves * config.atari.frame_skip)
    return min(caps)
