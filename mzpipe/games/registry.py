"""From a game's name to a batch of games."""

import difflib

from ..config import GameConfig
from ..errors import ConfigError
from .atari import AtariGame
from .atari_names import atari_names
from .game import Game, GameSpec
from .gymnasium_family import GYMNASIUM_NAMES, GymnasiumGame


def make_game(config: GameConfig, num_games: int, seed: int, *, training: bool = True) -> Game:
    """`num_games` games that repeat from `seed`; reward clipping and life loss hold in training games only.

    Raises ConfigError: no such game.
    """
    if config.name in GYMNASIUM_NAMES:
        return GymnasiumGame(config, num_games, seed)
    if config.name in atari_names():
        return AtariGame(config, num_games, seed, training=training)
    raise ConfigError(f"game.name={config.name!r}: unknown game{_suggestion(config.name)}")


def describe_game(config: GameConfig) -> GameSpec:
    """The spec of the game that `config` names; builds one and closes it."""
    game = make_game(config, num_games=1, seed=0)
    game.close()
    return game.spec


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, [*GYMNASIUM_NAMES, *atari_names()], n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known are {', '.join(GYMNASIUM_NAMES)} and the Atari games, as Pong, ALE/Pong-v5 or PongNoFrameskip-v4"
