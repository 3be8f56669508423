"""The game that is played, and how its raw environment is wrapped."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field

from .base import Fraction, NonNegativeInt, PositiveInt, section


@section(frozen=True)
class AtariConfig:
    """Preprocessing of an Arcade Learning Environment game; only mzpipe sets the frame skip."""

    frame_skip: Annotated[int, Field(ge=1, le=64)] = 4
    """Emulator frames per action; the last two are max-pooled."""

    sticky_actions: Fraction = 0.0
    """Probability that the emulator repeats the previous action instead of the new one."""

    noop_max: Annotated[int, Field(ge=0, le=1000)] = 30
    """At most this many no-ops after a reset, drawn uniformly."""

    max_episode_frames: PositiveInt = 108_000
    """Emulator frames after which an episode is truncated."""

    max_training_frames: NonNegativeInt = 0
    """The same for training games only; 0: max_episode_frames."""

    image_size: Annotated[int, Field(ge=16, le=256)] = 84
    """Side of the square frame handed to the agent, in pixels."""

    grayscale: bool = True
    """Frames are grey, one channel; otherwise they are in colour, three channels."""

    full_action_space: bool = False
    """All 18 actions of the console, not only those that the game knows."""

    clip_rewards: bool = False
    """Clip rewards to their sign in training games (never in evaluation)."""

    life_loss_terminates: bool = False
    """A lost life ends the episode in training games (never in evaluation)."""

    @property
    def max_pool(self) -> bool:
        """Whether an action's frame is the maximum of two: with one frame per action there is no second."""
        return self.frame_skip > 1


@section(frozen=True)
class BoardConfig:
    """Board games, played by OpenSpiel's rules."""

    size: Annotated[int, Field(ge=0, le=25)] = 0
    """Rows and columns of gomoku, hex and go; 0: 15, 11 and 19."""

    komi: Annotated[float, Field(ge=-100.0, le=100.0)] = 7.5
    """go: points that the second player gets."""


@section(frozen=True)
class MinAtarConfig:
    """The settings of MinAtar's games; the defaults are its package's."""

    sticky_actions: Fraction = 0.1
    """Probability that the game repeats the previous action instead of the new one."""

    difficulty_ramping: bool = True
    """Asterix, Seaquest and Space Invaders become faster during the game."""


ArgumentName = Annotated[str, Field(pattern=r"^[a-z]\w{0,63}$")]
GymnasiumWrapper = Literal["pixels", "grayscale", "halve", "twice", "symlog"]


@section(frozen=True)
class GymnasiumConfig:
    """How a gymnasium environment, or a game of your own, is made."""

    arguments: dict[ArgumentName, bool | int | float | str] = field(default_factory=dict, hash=False)
    """Keyword arguments of the environment, as in { is_slippery = false }."""

    wrappers: tuple[GymnasiumWrapper, ...] = ()
    """Wrappers of gymnasium environments, the innermost first; "halve" and "twice" may be repeated: "pixels" replaces
    the observation by the environment's picture, "grayscale" makes an RGB image grey, "halve" takes means of 2x2
    pixels, "twice" plays every action twice and adds up the rewards (max_episode_moves then counts the environment's
    own steps), "symlog" replaces every number x by sign(x) log(1 + |x|), for numbers of very different size."""

    action_masks: bool = True
    """Only actions that the environment calls legal are searched and played, if it tells them: by an `action_mask` in
    `info` or in a Dict observation, or by its `action_masks()`. Otherwise all actions always are."""

    action_bins: Annotated[int, Field(ge=0, le=1_024)] = 0
    """Continuous actions (`Box`): each of their numbers takes this many values, evenly from its lowest to its highest;
    each combination of them is one action, and at most 4,672 can be searched. 0: the game has no such actions."""

    sampled_actions: Annotated[int, Field(ge=0, le=1_024)] = 0
    """Continuous actions (`Box`), and `MultiDiscrete` or `MultiBinary` ones of many parts: every position is searched
    over this many actions, which the network draws (Sampled MuZero: 20); network.action_head says how. 0: not."""

    image_channels: Literal["auto", "first", "last"] = "auto"
    """Images with three axes: whether the channels are the "first" or the "last"; "auto": the one end that has at most
    four places. Where both or neither have, a new run must say it."""


@section(frozen=True)
class GameConfig:
    """The game and its observation history."""

    name: str = "CartPole-v1"
    """An Atari game (`Pong`, `ALE/Pong-v5`, `PongNoFrameskip-v4`), one of MinAtar (`MinAtar/Breakout-v1`), a board game
    (`tic_tac_toe`, `connect_four`, `gomoku`, `othello`, `hex`, `go`, `chess`, `shogi`), another of OpenSpiel's for two
    players (`OpenSpiel/breakthrough`), a gymnasium environment (`CartPole-v1`), one of EnvPool (`envpool:Taxi-v3`), or
    a game of your own (`module:Class`, --allow-env-import)."""

    frame_stack: Annotated[int, Field(ge=1, le=64)] = 1
    """Observations stacked for the representation function, newest last."""

    action_planes: bool = False
    """Images only: each frame gets a plane that holds the action which led to it (docs/games.md)."""

    protocol: str = ""
    """Atari only: `atari100k`, `muzero` or `machado` sets fields of [game.atari] (mzpipe/config/protocols.py). A field
    that is also given must not contradict it. "": no protocol, the settings as given."""

    max_episode_moves: NonNegativeInt = 0
    """Moves after which an episode is truncated; 0 leaves the environment's own limit."""

    atari: AtariConfig = Field(default_factory=AtariConfig)
    board: BoardConfig = Field(default_factory=BoardConfig)
    minatar: MinAtarConfig = Field(default_factory=MinAtarConfig)
    gymnasium: GymnasiumConfig = Field(default_factory=GymnasiumConfig)
