"""The case `games`: Atari's frames of the default family, from ale_py's vector environment, against EnvPool's.

Both play the same random actions in batches of a lane, with one thread, on one core; ended games are reset.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np

from mzpipe.config import GameConfig, GymnasiumConfig
from mzpipe.extras import how_to_install, is_installed
from mzpipe.games import Game, make_game
from mzpipe.measure.machine import one_core

from .rates import MZPIPE, Rates, rates_of, rows_of
from .registry import ShapeProgress
from .report import CaseResult, Panel
from .timing import Contestant

# Cartridge and games in a batch; the first cartridge makes the picture.
_SHAPES = (("Pong", 4), ("Pong", 16), ("Pong", 64), ("Breakout", 16), ("MsPacman", 16))
_MOVES = 20
_ROUNDS, _QUICK_ROUNDS = 9, 2
# Of EnvPool, so that both do the same work: one frame a move, no action at the start.
_ARGUMENTS: dict[str, bool | int | float | str] = {"stack_num": 1, "use_fire_reset": False}
ENVPOOL = "EnvPool"


def measure(*, quick: bool, progress: ShapeProgress) -> CaseResult:
    """Times both at each game; quick: one game, two rounds."""
    if not is_installed("envpool"):
        return CaseResult([], [f"envpool is not installed: {how_to_install('envpool')}"], [])
    shapes = _SHAPES[:1] if quick else _SHAPES
    rates: dict[tuple[str, int], Rates] = {}
    with one_core():
        for name, num_games in shapes:
            progress(len(rates), len(shapes), f"{num_games} x {name}")
            rates[name, num_games] = _rates(name, num_games, _QUICK_ROUNDS if quick else _ROUNDS)
    rows = [row for name, size in shapes for row in rows_of(f"games/{name}/{size}", "moves/s", rates[name, size])]
    return CaseResult(rows, [], [_panel(rates)])


def _rates(name: str, num_games: int, rounds: int) -> Rates:
    configs = {
        MZPIPE: GameConfig(name=name),
        ENVPOOL: GameConfig(name=f"envpool:{name}-v5", gymnasium=GymnasiumConfig(arguments=_ARGUMENTS)),
    }
    with ExitStack() as closing:
        contestants = []
        for contestant, config in configs.items():
            game = make_game(config, num_games, 0)
            closing.callback(game.close)
            game.reset()
            contestants.append(Contestant(contestant, _moves(game).__next__))
        return rates_of(contestants, num_games * _MOVES, rounds)


def _moves(game: Game) -> Iterator[None]:
    """Each step plays some moves at random."""
    rng = np.random.default_rng(0)
    while True:
        for _ in range(_MOVES):
            step = game.step(rng.integers(0, game.spec.num_actions, game.num_games))
            game.reset(step.terminated_B | step.truncated_B)
        yield


def _panel(rates: dict[tuple[str, int], Rates]) -> Panel:
    first = _SHAPES[0][0]
    sizes = [num_games for name, num_games in rates if name == first]
    lines = {
        contestant: [(float(num_games), rates[first, num_games][contestant].value) for num_games in sizes]
        for contestant in (MZPIPE, ENVPOOL)
    }
    return Panel(f"{first}, one core", "games in a batch", "moves/s", lines)
