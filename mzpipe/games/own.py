"""A game of your own, `module:Class`: imported only if the command line allows it.

The class (or any function) is called with `game.gymnasium.arguments` and returns
one game: an object that follows `single.SingleGame`, or a gymnasium environment. A class that is a gymnasium
`VectorEnv` is called with `num_envs` too, and plays all games of a batch.
"""

import re
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.wrappers import TimeLimit

from ..config import GameConfig
from ..config.base import chosen
from ..errors import ConfigError, GameError
from ..own_code import find_own_class, import_own
from .checked import asked
from .closing import close_all, closed_if_it_fails
from .game import Game, GameSpec
from .gymnasium_family import GymnasiumGame, environment_arguments
from .gymnasium_wrappers import wrapped
from .single import BatchedGame, SingleGame
from .symmetries import checked_symmetries
from .vector_family import VectorGame

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:([A-Za-z_]\w*|[\w./-]+-v\d+)")
_MEMBERS = ("num_actions", "frame_shape", "reset", "step")
# The settings that only gymnasium environments have.
_OF_ENVIRONMENTS = ("wrappers", "image_channels", "action_bins", "sampled_actions")
_DTYPES = ("float32", "uint8")


def make_own(config: GameConfig, num_games: int, seed: int) -> Game:
    """`num_games` games of the class that `game.name` names.

    Raises ConfigError: no permission, no such module or class; GameError: it
    does not return a game.
    """
    make = _find(config)
    if _is_vector(make):
        return VectorGame(config, num_games, seed, lambda num_envs, _: _call(make, config, num_envs=num_envs))
    first = _call(make, config)
    if isinstance(first, gymnasium.Env):
        close_all(config.name, [first])
        return GymnasiumGame(config, num_games, seed, lambda config: _limited(_call(make, config), config))
    games = [first]
    with closed_if_it_fails(config.name, games):
        spec = _spec(config, first)
        games += (_call(make, config) for _ in range(num_games - 1))
        return BatchedGame(spec, games, seed, max_moves=config.max_episode_moves)


def _find(config: GameConfig) -> Any:
    name = config.name
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"game.name={name!r}: a game of your own is named module:Class, as in my_game:MyGame, or module:Env-v0"
        )
    _, attribute = import_own("game.name", name, GameError)
    if attribute in gymnasium.registry:  # the module has registered it, as `module:Env-v0` asks gymnasium itself to do
        limit = config.max_episode_moves or None
        return partial(gymnasium.make, attribute, max_episode_steps=limit, disable_env_checker=True)
    return find_own_class("game.name", name, GameError)


def _is_vector(make: Any) -> bool:
    """Whether one object plays all games."""
    return isinstance(make, type) and issubclass(make, VectorEnv)


def _call(make: Any, config: GameConfig, **more: int) -> Any:
    try:
        return asked(config.name, "its constructor", make, **environment_arguments(config), **more)
    except GameError as error:
        if not isinstance(error.__cause__, TypeError):
            raise
        arguments = config.gymnasium.arguments
        raise ConfigError(
            f"game.name={config.name!r} with game.gymnasium.arguments={arguments}: {error.__cause__}"
        ) from None


def _limited(env: gymnasium.Env, config: GameConfig) -> gymnasium.Env:
    if config.max_episode_moves:
        env = TimeLimit(env, config.max_episode_moves)
    with closed_if_it_fails(config.name, [env]):
        return wrapped(env, config)


def _spec(config: GameConfig, game: SingleGame) -> GameSpec:
    """The spec from the game's own members; raises GameError if some are missing or wrong."""
    missing = [member for member in _MEMBERS if not hasattr(game, member)]
    if missing:
        raise GameError(
            f"{config.name}: {type(game).__name__} is neither a gymnasium environment nor a game: "
            f"it has no {', '.join(missing)} (see docs/games.md)"
        )
    num_players, dtype = getattr(game, "num_players", 1), getattr(game, "frame_dtype", "float32")
    _check_members(config.name, game, num_players, dtype)
    shape = tuple(map(int, game.frame_shape))
    cap = f"cap {config.max_episode_moves} moves" if config.max_episode_moves else "no cap"
    return GameSpec(
        name=config.name,
        description=(
            f"{config.name}: {'x'.join(map(str, shape))} {dtype} values, stack {config.frame_stack}, "
            f"{game.num_actions} actions, {num_players} {'player' if num_players == 1 else 'players'}, {cap}"
        ),
        frame_shape=shape,
        frame_dtype=str(dtype),
        frame_stack=config.frame_stack,
        num_actions=int(game.num_actions),
        num_players=int(num_players),
        opponents=("random",) if num_players == 2 else (),
        symmetries=checked_symmetries(config.name, getattr(game, "symmetries", ()), shape, int(game.num_actions)),
        objections=tuple(
            f"{choice}: {config.name} is no gymnasium environment: leave it out"
            for choice in chosen(config.gymnasium, "game.gymnasium.", *_OF_ENVIRONMENTS)
        ),
    )


def _check_members(name: str, game: SingleGame, num_players: Any, dtype: Any) -> None:
    shape = game.frame_shape
    if not isinstance(shape, tuple | list) or len(shape) not in (1, 3) or not all(_is_count(side) for side in shape):
        raise GameError(f"{name}: frame_shape={shape!r} is neither (values,) nor (channels, rows, columns)")
    if not _is_count(game.num_actions):
        raise GameError(f"{name}: num_actions={game.num_actions!r} must be an integer of at least 1")
    if num_players not in (1, 2):
        raise GameError(f"{name}: num_players={num_players!r} is neither 1 nor 2")
    if num_players == 2 and not hasattr(game, "to_play"):
        raise GameError(f"{name}: num_players=2, but it has no to_play(), which says who moves next")
    if dtype not in _DTYPES:
        raise GameError(f"{name}: frame_dtype={dtype!r} is neither {_DTYPES[0]!r} nor {_DTYPES[1]!r}")


def _is_count(number: Any) -> bool:
    return isinstance(number, int | np.integer) and bool(number >= 1)
