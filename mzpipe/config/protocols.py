"""Protocols for Atari by name: how the emulator runs in training and evaluation, and which episodes make a score.

A profile names one as `game.protocol`. Its settings then replace those under
`game.atari`, in training and evaluation games. Settings that a protocol leaves open
(image size, colour, frame stack) stay the profile's.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from .base import near
from .game import GameConfig

# The name of scores without a protocol: greedy whole games under the profile's own settings.
GREEDY = "greedy"


@dataclass(frozen=True)
class Protocol:
    """One protocol; the fields up to `episodes` are those of `game.atari`, and None leaves one to the profile."""

    name: str
    # Emulator frames per action; the last two are max-pooled.
    frame_skip: int
    sticky_actions: float
    noop_max: int
    # The most emulator frames of an episode, and of one in training.
    max_episode_frames: int
    max_training_frames: int
    # In training games only: evaluation games give true rewards and last over all lives.
    clip_rewards: bool
    life_loss_terminates: bool
    full_action_space: bool | None
    # A score is the mean of this many greedy episodes with each of this many seeds.
    episodes: int
    seeds: int

    def settings(self) -> dict[str, Any]:
        """Returns the settings that it prescribes, by the fields of `game.atari`."""
        fields = dataclasses.asdict(self)
        chosen = {name: value for name, value in fields.items() if value is not None}
        return {name: chosen[name] for name in chosen if name not in ("name", "episodes", "seeds")}


_FRAMES_OF_HALF_AN_HOUR = 108_000

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        # Ye et al. 2021 (EfficientZero), section 5.1 and appendix A; the benchmark is Kaiser et al. 2020.
        Protocol(
            name="atari100k",
            frame_skip=4,
            sticky_actions=0.0,
            noop_max=30,
            max_episode_frames=_FRAMES_OF_HALF_AN_HOUR,
            max_training_frames=12_000,
            clip_rewards=True,
            life_loss_terminates=True,
            full_action_space=None,
            episodes=32,
            seeds=3,
        ),
        # Schrittwieser et al. 2020, appendices D and F. Its "mean over many" episodes is 100 here.
        Protocol(
            name="muzero",
            frame_skip=4,
            sticky_actions=0.0,
            noop_max=30,
            max_episode_frames=_FRAMES_OF_HALF_AN_HOUR,
            max_training_frames=_FRAMES_OF_HALF_AN_HOUR,
            clip_rewards=False,
            life_loss_terminates=False,
            full_action_space=None,
            episodes=100,
            seeds=1,
        ),
        # Machado et al. 2018, section 6. Their score is over the last 100 training episodes; here over 100 greedy ones.
        Protocol(
            name="machado",
            frame_skip=4,
            sticky_actions=0.25,
            noop_max=0,
            max_episode_frames=_FRAMES_OF_HALF_AN_HOUR,
            max_training_frames=_FRAMES_OF_HALF_AN_HOUR,
            clip_rewards=False,
            life_loss_terminates=False,
            full_action_space=True,
            episodes=100,
            seeds=1,
        ),
    )
}


def find_protocol(name: str, *, said_by: str = "game.protocol=") -> Protocol:
    """The protocol of that name; raises ConfigError with the nearest name, and the field or option that gave it."""
    if name not in PROTOCOLS:
        raise ConfigError(f"{said_by}{name!r}: unknown protocol{near(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def under_protocol(game: GameConfig, protocol: Protocol) -> GameConfig:
    """The game under the protocol; the network's observations stay the same."""
    atari = dataclasses.replace(game.atari, **protocol.settings())
    return dataclasses.replace(game, protocol=protocol.name, max_episode_moves=0, atari=atari)


def fill_in_protocol(game: GameConfig, given: Mapping[str, Any]) -> GameConfig:
    """Applies the game's own protocol, if any, as `under_protocol` does; `given` is the profile's game section.

    Raises ConfigError: no such protocol, or a given setting that contradicts it.
    """
    if not game.protocol:
        return game
    protocol = find_protocol(game.protocol)
    _refuse_move_cap(game)
    for name, value in protocol.settings().items():
        if name in given.get("atari", {}) and getattr(game.atari, name) != value:
            raise ConfigError(
                f"game.atari.{name}={getattr(game.atari, name)!r}: game.protocol={protocol.name!r} has {value!r}: "
                "leave the field out, or leave out the protocol"
            )
    return under_protocol(game, protocol)


def score_protocol(game: GameConfig) -> str:
    """Returns the name that is written with every score of this game: its protocol's, or GREEDY."""
    return game.protocol or GREEDY


def _refuse_move_cap(game: GameConfig) -> None:
    if game.max_episode_moves:
        raise ConfigError(
            f"game.max_episode_moves={game.max_episode_moves}: game.protocol={game.protocol!r} caps episodes by "
            "emulator frames: leave it out"
        )
