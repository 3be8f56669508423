"""unroll_targets: alignment, the three kinds of end, circular storage, and the actions past the end."""

import numpy as np
import pytest

from mzpipe.targets import EpisodeSteps, UnrollTargets, allocate_unroll_targets, unroll_targets
from mzpipe.targets.unroll import random_action
from tests.naive.targets import n_step_value

NUM_ACTIONS = 3
REWARDS = np.array([1, 2, 3, 4], np.float32)
VALUES = np.array([10, 20, 30, 40], np.float32)
ACTIONS = np.array([2, 0, 1, 2], np.int32)
POLICIES = np.array([[0.5, 0.5, 0], [1, 0, 0], [0, 1, 0], [0.25, 0.25, 0.5]], np.float32)
STEPS = EpisodeSteps(ACTIONS, REWARDS, VALUES, POLICIES)


def unrolled(t, *, terminated=True, final_value=0.0, steps=STEPS, end=4, num_unroll_steps=3, key=0) -> UnrollTargets:
    """Targets at step `t`, td_steps 1, discount 1/2, written over arrays full of NaN."""
    targets = allocate_unroll_targets(num_unroll_steps, NUM_ACTIONS)
    for array in targets[1:]:
        array[:] = np.nan
    unroll_targets(steps, t, end, terminated, final_value, 0.5, 1, key, targets)
    return targets


def test_unroll_aligns_actions_rewards_values_and_policies_when_inside_an_episode():
    targets = unrolled(0)
    assert targets.action_K.tolist() == [2, 0, 1]
    assert targets.reward_target_K.tolist() == [1, 2, 3]
    assert targets.value_target_K1.tolist() == [1 + 20 / 2, 2 + 30 / 2, 3 + 40 / 2, 4]
    np.testing.assert_array_equal(targets.policy_target_K1A, POLICIES)


def test_unroll_masks_nothing_when_inside_an_episode():
    targets = unrolled(0)
    assert targets.value_mask_K1.tolist() == [1, 1, 1, 1]
    assert targets.reward_mask_K.tolist() == [1, 1, 1]
    assert targets.policy_mask_K1.tolist() == [1, 1, 1, 1]


def test_unroll_masks_the_policy_alone_of_a_capped_search():
    capped = STEPS._replace(search_policy_CA=np.where(np.arange(4)[:, None] == 1, 0, POLICIES))
    targets = unrolled(0, steps=capped)
    assert targets.policy_mask_K1.tolist() == [1, 0, 1, 1]
    assert targets.policy_target_K1A[1].tolist() == [0, 0, 0]
    for name in ("value_target_K1", "value_mask_K1", "reward_target_K", "reward_mask_K", "action_K"):
        np.testing.assert_array_equal(getattr(targets, name), getattr(unrolled(0), name))


def test_unroll_is_an_absorbing_state_without_policy_when_past_a_terminated_end():
    targets = unrolled(2)
    assert targets.value_target_K1.tolist() == [3 + 40 / 2, 4, 0, 0]
    assert targets.value_mask_K1.tolist() == [1, 1, 1, 1]
    assert targets.reward_target_K.tolist() == [3, 4, 0]
    assert targets.reward_mask_K.tolist() == [1, 1, 1]
    assert targets.policy_mask_K1.tolist() == [1, 1, 0, 0]
    assert (targets.policy_target_K1A[2:] == 0).all()


def test_unroll_counts_nothing_when_past_a_truncated_end():
    targets = unrolled(2, terminated=False, final_value=8.0)
    assert targets.value_target_K1.tolist() == [3 + 40 / 2, 4 + 8 / 2, 0, 0]
    assert targets.value_mask_K1.tolist() == [1, 1, 0, 0]
    assert targets.reward_target_K.tolist() == [3, 4, 0]
    assert targets.reward_mask_K.tolist() == [1, 1, 0]
    assert targets.policy_mask_K1.tolist() == [1, 1, 0, 0]


def test_unroll_ignores_the_final_value_when_terminated():
    assert unrolled(3, final_value=99.0).value_target_K1[0] == 4.0


@pytest.mark.parametrize("terminated", [True, False])
def test_unroll_draws_actions_from_all_ids_when_past_the_end(terminated):
    drawn = [unrolled(3, terminated=terminated, key=key).action_K[1:].tolist() for key in range(60)]
    assert {action for actions in drawn for action in actions} == set(range(NUM_ACTIONS))
    assert any(first != second for first, second in drawn)


def test_unroll_repeats_the_actions_past_the_end_when_the_key_does():
    first, second = (unrolled(3, key=7, num_unroll_steps=20).action_K for _ in range(2))
    assert first.tolist() == second.tolist()


def test_unroll_reads_the_same_when_the_episode_wraps_around():
    first, capacity = 1_000_003, 6
    places = (first + np.arange(4)) % capacity
    steps = EpisodeSteps(
        np.zeros(capacity, np.int32),
        np.full(capacity, np.nan, np.float32),
        np.full(capacity, np.nan, np.float32),
        np.full((capacity, NUM_ACTIONS), np.nan, np.float32),
    )
    for stored, episode in zip(steps, STEPS, strict=True):
        stored[places] = episode
    for t in range(4):
        wrapped = unrolled(first + t, steps=steps, end=first + 4, terminated=False, final_value=5.0)
        for actual, expected in zip(wrapped, unrolled(t, terminated=False, final_value=5.0), strict=True):
            np.testing.assert_array_equal(actual, expected)


def test_unroll_values_equal_the_n_step_twin_when_two_players_alternate():
    targets = allocate_unroll_targets(3, NUM_ACTIONS)
    unroll_targets(STEPS, 0, 4, True, 0.0, -1.0, 3, 0, targets)
    expected = [n_step_value(REWARDS, VALUES, t, -1.0, 3, 0.0) for t in range(4)]
    assert targets.value_target_K1 == pytest.approx(expected)


def test_unroll_without_unroll_steps_writes_the_position_alone():
    targets = unrolled(1, num_unroll_steps=0)
    assert targets.value_target_K1.tolist() == [2 + 30 / 2]
    assert targets.action_K.shape == (0,)


@pytest.mark.parametrize("key", [0, 1, 2**40 + 5, -1, 2**63 - 1, -(2**63)])
def test_random_action_is_uniform_over_counters(key):
    counts = np.bincount([random_action(key, counter, 5) for counter in range(5000)], minlength=5)
    assert counts.sum() == 5000
    assert counts / 5000 == pytest.approx(np.full(5, 0.2), abs=0.03)


def test_random_action_depends_on_both_halves_of_the_key():
    drawn = [[random_action(key, counter, 1000) for counter in range(8)] for key in (1, 2, 1 << 32, 2 << 32)]
    assert len({tuple(actions) for actions in drawn}) == 4
