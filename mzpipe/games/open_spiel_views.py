"""What a network sees of an OpenSpiel game: OpenSpiel's own observation, where that suits it, and else one of `VIEWS`.

Shape legend    D numbers of OpenSpiel's observation
"""

import numpy as np
import pyspiel
from numpy.typing import NDArray

from .game import Symmetry
from .symmetries import SQUARE, sliding_symmetries

# The tiles of 2048 are powers of 2, up to 131072 on 16 cells.
_NUM_POWERS = 17
# Its actions: up, right, down, left.
_DIRECTIONS = ((-1, 0), (0, 1), (1, 0), (0, -1))
# Backgammon's dice are the last numbers of OpenSpiel's observation.
_DICE, _SIDES = 2, 6


class View:
    """OpenSpiel's observation, planes first, as one row if it has no planes."""

    # Those of what the network sees, without the one that leaves all as it is.
    symmetries: tuple[Symmetry, ...] = ()

    def __init__(self, rules: pyspiel.Game) -> None:
        *shape, first = rules.observation_tensor_shape()[::-1]
        self.shape = (first, *reversed(shape))
        if len(self.shape) == 2:
            self.shape = (1, *self.shape)

    def observe(self, state: pyspiel.State, player: int) -> NDArray[np.float32]:
        """What the network sees while this player is to move, [*shape]."""
        return np.asarray(state.observation_tensor(player), np.float32).reshape(self.shape)


class TilesView(View):
    """2048: a plane for each power of 2."""

    def __init__(self, rules: pyspiel.Game) -> None:
        super().__init__(rules)
        _, rows, columns = self.shape
        self.shape = (_NUM_POWERS, rows, columns)
        self.symmetries = sliding_symmetries(SQUARE, rows, columns, _DIRECTIONS)

    def observe(self, state: pyspiel.State, player: int) -> NDArray[np.float32]:
        """1 where a tile is this power."""
        tiles = np.asarray(state.observation_tensor(player), np.float32)
        power = np.log2(np.maximum(tiles, 1.0)).astype(np.int64)  # an empty cell has none
        return (power == np.arange(1, _NUM_POWERS + 1)[:, None]).reshape(self.shape).astype(np.float32)


class BackgammonView(View):
    """Backgammon: player 0's checkers, then player 1's, whoever is to move, and each die as one of six numbers.

    OpenSpiel shows the checkers of the player to move first, but not which player that is. The players go round the
    board in opposite directions, so nobody could tell from it what a move does.
    """

    def __init__(self, rules: pyspiel.Game) -> None:
        super().__init__(rules)
        self.shape = (self.shape[0] + _DICE * (_SIDES - 1),)

    def observe(self, state: pyspiel.State, player: int) -> NDArray[np.float32]:
        """The board, bars, homes, whose dice they are, and the dice."""
        observed_D = np.asarray(state.observation_tensor(0), np.float32)
        dice = observed_D[-_DICE:, None] == np.arange(1, _SIDES + 1)
        return np.concatenate([observed_D[:-_DICE], dice.ravel()])


VIEWS: dict[str, type[View]] = {"2048": TilesView, "backgammon": BackgammonView}


def view_of(rules: pyspiel.Game) -> View:
    """The view of these rules."""
    return VIEWS.get(rules.get_type().short_name, View)(rules)
