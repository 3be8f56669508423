"""A game of your own in one file: find the treasure on a grid in as few moves as possible.

bin/mzpipe check-env examples.treasure:Treasure --allow-env-import
bin/mzpipe train examples/treasure.toml --allow-env-import
"""

import numpy as np

SIDE = 6
MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))  # up, right, down, left


class Treasure:
    """A move costs 0.05; the treasure is worth 1 and ends the game."""

    num_actions = len(MOVES)
    frame_shape = (2, SIDE, SIDE)  # planes: the player, the treasure

    def reset(self, seed):
        """The first frame of a new game; all randomness comes from the seed."""
        cells = np.random.default_rng(seed).choice(SIDE * SIDE, 2, replace=False)
        self.player, self.treasure = (divmod(int(cell), SIDE) for cell in cells)
        return self._frame()

    def step(self, action):
        """The next frame, the reward, whether the rules ended the game, and whether a limit did."""
        self.player = self._neighbour(action)
        found = self.player == self.treasure
        return self._frame(), 1.0 if found else -0.05, found, False

    def legal_actions(self):
        """Every move that does not leave the grid; without this method every action is legal."""
        return np.array([min(self._neighbour(a)) >= 0 and max(self._neighbour(a)) < SIDE for a in range(len(MOVES))])

    def _neighbour(self, action):
        return self.player[0] + MOVES[action][0], self.player[1] + MOVES[action][1]

    def _frame(self):
        frame = np.zeros(self.frame_shape, np.float32)
        frame[0][self.player] = frame[1][self.treasure] = 1.0
        return frame
