"""Unroll targets: the outputs that the network should give at one position and after K actions.

    k             0        1        2     ...    K
    state        s_t  ->  s_t+1 -> s_t+2  ...   s_t+K        value, policy targets at every state
    action           a_t      a_t+1  ...                     place k - 1 leads into state k
    reward           u_t+1    u_t+2  ...                     place k - 1 belongs to the action into state k

Index 0 has no reward target (MuZero's first pseudocode is off by one here).

Shape legend    C places of a circular array: step s lives at s % capacity
                K actions unrolled   K1 = K + 1 states   A actions to choose from
Reads           steps.{action_C, reward_C, bootstrap_value_C, search_policy_CA}
Writes          every place of every array of `targets`
Preconditions   P1  0 <= t < end, td_steps >= 1, end - t <= capacity <= C.
                P2  stored actions are in 0 .. A - 1.
Postconditions  I1  at a stored step s = t + k < end: value_target = z_s (see n_step),
                    policy_target = search policy of s, both masks 1; the policy's is 0 for a
                    policy of zeros, which a capped search leaves.
                I2  past a terminated episode: value 0 and reward 0 with mask 1, as for an
                    absorbing state; policy mask 0.
                I3  past a truncated or unfinished one nothing is known: all masks are 0, at
                    `end` itself too. `final_value` enters only through z.
                I4  actions past the end are random ids in 0 .. A - 1, the same for the same key.
                I5  where a mask is 0 the target is 0.
Numerics        float32 targets of float64 sums; fastmath off.
Oracle          tests/naive/targets.py
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from .n_step import n_step_value_at

_WORD = 0xFFFFFFFF


@njit(cache=True, nogil=True, fastmath=False)
def _mix(word: int) -> int:
    """A permutation of 32-bit words; both multipliers are below 2^31, so products stay within int64."""
    word = ((word ^ (word >> 16)) * 0x21F0AAAD) & _WORD
    word = ((word ^ (word >> 15)) * 0x735A2D97) & _WORD
    return word ^ (word >> 15)


@njit(cache=True, nogil=True, fastmath=False)
def random_action(key: int, counter: int, num_actions: int) -> int:
    """An action id in 0 .. num_actions - 1, uniform over counters; key and counter are int64."""
    key = int(key)
    word = _mix(key & _WORD)
    word = _mix(word ^ ((key >> 32) & _WORD))
    word = _mix(word ^ (int(counter) & _WORD))
    return (word * num_actions) >> 32


class EpisodeSteps(NamedTuple):
    """Stored steps in circular arrays; step s of the episode lives at s % action_C.shape[0]."""

    # Action taken at the step.
    action_C: np.ndarray
    # Reward that followed that action.
    reward_C: np.ndarray
    # Value of the position before the action, for targets of earlier steps to bootstrap from.
    bootstrap_value_C: np.ndarray
    # Search policy of the position before the action.
    search_policy_CA: np.ndarray


class UnrollTargets(NamedTuple):
    """Targets of one unroll; all are float32 except the actions. Masks are 1 where the target counts, else 0."""

    action_K: np.ndarray
    value_target_K1: np.ndarray
    reward_target_K: np.ndarray
    policy_target_K1A: np.ndarray
    value_mask_K1: np.ndarray
    reward_mask_K: np.ndarray
    policy_mask_K1: np.ndarray


def allocate_unroll_targets(num_unroll_steps: int, num_actions: int) -> UnrollTargets:
    """Arrays for one unroll, zeroed."""
    states = num_unroll_steps + 1
    return UnrollTargets(
        action_K=np.zeros(num_unroll_steps, np.int32),
        value_target_K1=np.zeros(states, np.float32),
        reward_target_K=np.zeros(num_unroll_steps, np.float32),
        policy_target_K1A=np.zeros((states, num_actions), np.float32),
        value_mask_K1=np.zeros(states, np.float32),
        reward_mask_K=np.zeros(num_unroll_steps, np.float32),
        policy_mask_K1=np.zeros(states, np.float32),
    )


@njit(cache=True, nogil=True, fastmath=False, forceinline=True)
def _is_target(policy_CA: np.ndarray, place: int) -> bool:
    action, num_actions = 0, policy_CA.shape[1]
    while action < num_actions and policy_CA[place, action] == 0.0:
        action += 1
    return action < num_actions


@njit(cache=True, nogil=True, fastmath=False, forceinline=True)
def _write_stored_state(
    steps: EpisodeSteps,
    s: int,
    end: int,
    discount: float,
    td_steps: int,
    final_value: float,
    targets: UnrollTargets,
    k: int,
) -> None:
    capacity = steps.action_C.shape[0]
    targets.value_target_K1[k] = n_step_value_at(
        steps.reward_C, steps.bootstrap_value_C, s, end, capacity, discount, td_steps, final_value
    )
    targets.value_mask_K1[k] = 1.0
    place = s % capacity
    for action in range(steps.search_policy_CA.shape[1]):
        targets.policy_target_K1A[k, action] = steps.search_policy_CA[place, action]
    targets.policy_mask_K1[k] = 1.0 if _is_target(steps.search_policy_CA, place) else 0.0


@njit(cache=True, nogil=True, fastmath=False, forceinline=True)
def _write_state_past_end(terminated: bool, targets: UnrollTargets, k: int) -> None:
    targets.value_target_K1[k] = 0.0
    targets.value_mask_K1[k] = 1.0 if terminated else 0.0
    for action in range(targets.policy_target_K1A.shape[1]):
        targets.policy_target_K1A[k, action] = 0.0
    targets.policy_mask_K1[k] = 0.0


@njit(cache=True, nogil=True, fastmath=False, forceinline=True)
def _write_action(
    steps: EpisodeSteps, s: int, end: int, terminated: bool, random_key: int, targets: UnrollTargets, k: int
) -> None:
    place = s % steps.action_C.shape[0]
    if s < end:
        targets.action_K[k] = steps.action_C[place]
        targets.reward_target_K[k] = steps.reward_C[place]
        targets.reward_mask_K[k] = 1.0
    else:
        targets.action_K[k] = random_action(random_key, k, steps.search_policy_CA.shape[1])
        targets.reward_target_K[k] = 0.0
        targets.reward_mask_K[k] = 1.0 if terminated else 0.0


@njit(cache=True, nogil=True, fastmath=False, forceinline=True)
def unroll_targets(
    steps: EpisodeSteps,
    t: int,
    end: int,
    terminated: bool,
    final_value: float,
    discount: float,
    td_steps: int,
    random_key: int,
    targets: UnrollTargets,
) -> None:
    """Writes the targets of step `t` of the episode whose last stored step is end - 1.

    `final_value` is the bootstrap of a truncated or unfinished episode and counts as 0 for a terminated one.
    `random_key` (int64) fixes the actions past the end.
    """
    bootstrap = 0.0 if terminated else final_value
    for k in range(targets.value_target_K1.shape[0]):
        if t + k < end:
            _write_stored_state(steps, t + k, end, discount, td_steps, bootstrap, targets, k)
        else:
            _write_state_past_end(terminated, targets, k)
    for k in range(targets.action_K.shape[0]):
        _write_action(steps, t + k, end, terminated, random_key, targets, k)
