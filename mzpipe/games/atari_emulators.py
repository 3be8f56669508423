"""Builds ale_py's vector environment as `game.atari` says."""

from typing import NamedTuple

from ale_py.vector_env import AtariVectorEnv

from ..config import GameConfig
from .atari_names import atari_names


class EmulatorUse(NamedTuple):
    """What a batch of emulators is for."""

    training: bool
    # Emulator frames after which an episode is truncated.
    max_frames: int
    # Height and width of a frame.
    image_shape: tuple[int, int]


def emulator_use(config: GameConfig, *, training: bool) -> EmulatorUse:
    """As the configuration has it for training games, or for evaluation games."""
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
