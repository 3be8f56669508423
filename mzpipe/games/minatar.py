"""MinAtar's five games (Young and Tian 2019): 10x10 planes, stepped in Python.

How the package behaves, and how this module uses it:

- Its `__init__` loads matplotlib and seaborn for a window, which costs 3 s and 120 MB
  in every process. A game's own module needs only numpy, so it is loaded from its file.
- The sticky action is drawn before each move from the game's own stream, as in the package.
- Freeway ends after 2501 moves, which no plane shows. That is a limit, so the
  episode is truncated. The other four end by their rules.
- Planes are 0 or 255, so that the network sees 0 and 1.
"""

import functools
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..config import GameConfig
from ..errors import ConfigError
from ..extras import how_to_install
from .game import GameSpec
from .names import MINATAR_GAMES, MinAtarName, minatar_names
from .single import BatchedGame, Step

_SET = np.uint8(255)
_TIMED_GAME = "freeway"
_NO_OP = 0
_ACTION_NAMES = {"n": "nothing", "l": "left", "u": "up", "r": "right", "d": "down", "f": "fire"}


class MinAtarGame:
    """One game, which follows `single.SingleGame`."""

    frame_dtype = "uint8"

    def __init__(self, name: MinAtarName, *, sticky_actions: float, difficulty_ramping: bool) -> None:
        self._env: Any = _game_module(name.game).Env(ramping=difficulty_ramping)
        self._ends_by_time = name.game == _TIMED_GAME
        self._sticky_actions = sticky_actions
        self._actions = self._env.minimal_action_set() if name.minimal_actions else range(len(self._env.action_map))
        self.num_actions = len(self._actions)
        rows, columns, planes = self._env.state_shape()
        self.frame_shape: tuple[int, ...] = (planes, rows, columns)

    def reset(self, seed: int) -> np.ndarray:
        """The first frame of an episode that repeats from `seed`."""
        self._random = self._env.random = np.random.RandomState(seed)
        self._last_action = _NO_OP
        self._env.reset()
        return self._frame()

    def step(self, action: int) -> Step:
        """Plays the action, or the last one again."""
        if self._random.random_sample() >= self._sticky_actions:
            self._last_action = self._actions[action]
        reward, ended = self._env.act(self._last_action)
        return self._frame(), reward, ended and not self._ends_by_time, ended and self._ends_by_time

    def action_names(self) -> tuple[str, ...]:
        """Returns the package's letters; n is no-op."""
        return tuple(_ACTION_NAMES[self._env.action_map[action]] for action in self._actions)

    def _frame(self) -> np.ndarray:
        return np.moveaxis(self._env.state(), -1, 0) * _SET


def make_minatar(config: GameConfig, num_games: int, seed: int) -> BatchedGame:
    """`num_games` games; raises ConfigError if the package is missing."""
    name, settings = minatar_names()[config.name], config.minatar
    games = [
        MinAtarGame(name, sticky_actions=settings.sticky_actions, difficulty_ramping=settings.difficulty_ramping)
        for _ in range(num_games)
    ]
    return BatchedGame(_spec(config, name, games[0]), games, seed, max_moves=config.max_episode_moves)


def _spec(config: GameConfig, name: MinAtarName, game: MinAtarGame) -> GameSpec:
    planes, rows, columns = game.frame_shape
    named = "" if config.name == name.canonical else f" (named {config.name!r})"
    ramping = "" if config.minatar.difficulty_ramping else ", no difficulty ramping"
    cap = f"cap {config.max_episode_moves} moves" if config.max_episode_moves else "no cap"
    return GameSpec(
        name=name.canonical,
        description=(
            f"{name.canonical}{named}: {planes} planes of {rows}x{columns}, stack {config.frame_stack}, "
            f"sticky {config.minatar.sticky_actions}{ramping}, {game.num_actions} actions, {cap}"
        ),
        frame_shape=game.frame_shape,
        frame_dtype=game.frame_dtype,
        frame_stack=config.frame_stack,
        num_actions=game.num_actions,
        num_players=1,
    )


@functools.cache
def _game_module(game: str) -> ModuleType:
    """The package's module of one game, without the package's own imports."""
    assert game in MINATAR_GAMES
    package = importlib.util.find_spec("minatar")
    if package is None or package.origin is None:
        raise ConfigError(f"game.name: MinAtar's games need the minatar package: {how_to_install('minatar')}")
    path = Path(package.origin).parent / "environments" / f"{game}.py"
    spec = importlib.util.spec_from_file_location(f"minatar.environments.{game}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
