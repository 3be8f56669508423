"""A game whose values are known by arithmetic: 1 for sure, or 3 in one of two draws, so 1.5."""

import numpy as np

BEGIN, SURE, WON, LOST = range(4)
PAYS = {SURE: 1.0, WON: 3.0, LOST: 0.0}


class Lottery:
    """Action 0 takes what is sure, action 1 draws; the next observation shows which, and the next action takes it."""

    num_actions, frame_shape = 2, (4,)

    def reset(self, seed):
        self._rng, self._shown = np.random.default_rng(seed), BEGIN
        return self._frame()

    def step(self, action):
        paid = PAYS.get(self._shown)
        if paid is not None:
            return np.zeros(4, np.float32), paid, True, False
        self._shown = SURE if action == 0 else (WON, LOST)[self._rng.integers(2)]
        return self._frame(), 0.0, False, False

    def _frame(self):
        return np.eye(4, dtype=np.float32)[self._shown]
