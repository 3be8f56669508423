"""The last `frame_stack` frames of each game, as the representation function sees them.

Shape legend    B games   S... one stacked observation, oldest frame first along its first axis

Frames before an episode's start are zeros. The replay gather fills them in the
same way, so a network sees the same early observations from both.
"""

import numpy as np
from numpy.typing import NDArray

from .game import GameSpec


class FrameStack:
    """A rolling stack per game; reset it when an episode begins, push once per step."""

    def __init__(self, spec: GameSpec, num_games: int) -> None:
        self._stack_BS = np.zeros((num_games, *spec.observation_shape), spec.frame_dtype)
        self._frame_size = spec.frame_shape[0]
        self._single = spec.frame_stack == 1

    def reset(self, frame_BF: np.ndarray, mask_B: NDArray[np.bool_] | None = None) -> None:
        """Resets the games under the mask (None: all) to zeros, with their frame as the newest."""
        if mask_B is None:
            mask_B = np.ones(len(self._stack_BS), np.bool_)
        self._stack_BS[mask_B] = 0
        self._stack_BS[mask_B, -self._frame_size :] = frame_BF[mask_B]

    def push(self, frame_BF: np.ndarray, mask_B: NDArray[np.bool_] | None = None) -> None:
        """Drops the oldest frame of each game under the mask (None: all) and adds its newest."""
        if mask_B is not None:
            stack_MS = self._stack_BS[mask_B]
            stack_MS[:, : -self._frame_size] = stack_MS[:, self._frame_size :]
            stack_MS[:, -self._frame_size :] = frame_BF[mask_B]
            self._stack_BS[mask_B] = stack_MS
            return
        if not self._single:
            self._stack_BS[:, : -self._frame_size] = self._stack_BS[:, self._frame_size :]
        self._stack_BS[:, -self._frame_size :] = frame_BF

    def write(self, out_BS: np.ndarray) -> None:
        """Copies the stacked observations into the caller's array."""
        np.copyto(out_BS, self._stack_BS, casting="no")

    def view(self) -> np.ndarray:
        """The stacked observations, read-only, until the next reset or push."""
        view_BS = self._stack_BS.view()
        view_BS.flags.writeable = False
        return view_BS
