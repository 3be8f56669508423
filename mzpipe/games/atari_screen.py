"""The colour screen of an Atari game, for people.

ale_py's vector environment shows its preprocessed frames only. So a second
emulator with the same seed is given the same actions and resets, and its frames
are the whole screen in colour; games repeat from their seed, no-ops and sticky
actions included, so that it is the same game.
"""

from collections.abc import Callable

import numpy as np
from ale_py.vector_env import AtariVectorEnv
from numpy.typing import NDArray

# Height and width of the screen.
SCREEN = (210, 160)
_ALL = np.ones(1, np.bool_)


class AtariScreen:
    """Game 0 of a batch, played along in an environment of one game, from the seeded reset on."""

    def __init__(self, make_env: Callable[[], AtariVectorEnv], seed: int) -> None:
        self._env = make_env()
        self._screen, _ = self._env.reset(seed=np.array([seed]))

    def step(self, action: int) -> None:
        """Plays the same action."""
        self._screen = self._env.step(np.array([action], np.int64))[0]

    def restart(self) -> None:
        """Resets as the game was."""
        self._screen, _ = self._env.reset(options={"reset_mask": _ALL})

    def picture(self) -> NDArray[np.uint8]:
        """What it shows, uint8 [210, 160, 3]; max-pooled as frames are."""
        picture: NDArray[np.uint8] = self._screen[0, 0]
        return picture

    def close(self) -> None:
        """Stops the emulator."""
        self._env.close()
        vars(self._env).pop("ale", None)
