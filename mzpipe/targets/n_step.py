"""n-step value targets, from episodes in circular arrays.

    z_t = sum_{i < n} discount^i u_{t+i+1} + discount^n v_{t+n},  n = min(td_steps, end - t)

u_{t+1} is the reward that follows action t; it lies at index t. Rewards are for
the player who moved and values for the player to move, so with two alternating
players the formula is the same and the discount is negative.

Shape legend    C places of a circular array: step s lives at s % capacity   T steps of an episode
Reads           reward_C, root_value_C
Preconditions   P1  0 <= t < end, td_steps >= 1.
                P2  steps t .. end - 1 are stored: end - t <= capacity <= C.
Postconditions  I1  only steps t .. min(t + td_steps, end) are read; where t + n reaches
                    `end`, v is `final_value`: 0 for a terminated episode, the
                    bootstrap for a truncated or unfinished one.
Numerics        float64 sums, first reward first; fastmath off.
Oracle          tests/naive/targets.py
"""

import numpy as np
from numba import njit

from ..errors import SearchInputError


@njit(cache=True, nogil=True, fastmath=False, forceinline=True)
def n_step_value_at(
    reward_C: np.ndarray,
    root_value_C: np.ndarray,
    t: int,
    end: int,
    capacity: int,
    discount: float,
    td_steps: int,
    final_value: float,
) -> float:
    """z_t of the episode whose last stored step is end - 1; t and end count steps, not places."""
    steps = min(td_steps, end - t)
    value, weight, place = 0.0, 1.0, t % capacity
    for _ in range(steps):
        value += weight * np.float64(reward_C[place])
        weight *= discount
        place += 1
        if place == capacity:
            place = 0
    if t + steps == end:
        return value + weight * final_value
    return value + weight * np.float64(root_value_C[place])


@njit(cache=True, nogil=True, fastmath=False)
def _write_n_step_values(
    reward_T: np.ndarray,
    root_value_T: np.ndarray,
    discount: float,
    td_steps: int,
    final_value: float,
    value_target_T: np.ndarray,
) -> None:
    end = reward_T.shape[0]
    for t in range(end):
        value_target_T[t] = n_step_value_at(reward_T, root_value_T, t, end, end, discount, td_steps, final_value)


def n_step_values(
    reward_T: np.ndarray, root_value_T: np.ndarray, discount: float, td_steps: int, final_value: float = 0.0
) -> np.ndarray:
    """z_T float32 of one whole episode; `final_value` is v at its end: 0 if terminated, else the bootstrap.

    Raises SearchInputError for arrays of unequal length or with values that are not finite, and for td_steps < 1.
    """
    reward_T, root_value_T = np.ascontiguousarray(reward_T), np.ascontiguousarray(root_value_T)
    if reward_T.ndim != 1 or reward_T.shape != root_value_T.shape:
        raise SearchInputError(
            f"reward_T of shape {reward_T.shape} and root_value_T of shape {root_value_T.shape}: "
            "both must hold one number per step"
        )
    if td_steps < 1:
        raise SearchInputError(f"td_steps={td_steps} must be at least 1")
    if not (np.isfinite(reward_T).all() and np.isfinite(root_value_T).all() and np.isfinite(final_value)):
        raise SearchInputError("reward_T, root_value_T or final_value holds NaN or infinity")
    value_target_T = np.empty(reward_T.shape[0], np.float32)
    _write_n_step_values(reward_T, root_value_T, float(discount), int(td_steps), float(final_value), value_target_T)
    return value_target_T
