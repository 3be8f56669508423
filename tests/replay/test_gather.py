"""Gather against its naive twin, over records that cut episodes anywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mzpipe.ipc.columns import RecordLayout, Sizes, named
from mzpipe.ipc.schema import BatchSlot
from mzpipe.replay.frames import NONE
from mzpipe.replay.gather import Gatherer
from mzpipe.replay.sizes import TableShape, bytes_per_transition
from mzpipe.replay.table import Table
from tests.naive import gather as naive
from tests.replay.episodes import (
    ENDS,
    FRAME_SHAPE,
    NUM_ACTIONS,
    RECORD_LENGTH,
    make_table,
    random_episode,
    records,
)

UNROLL, STACK = 3, 4


def make_slot(batch_size, **more):
    sizes = Sizes(
        num_actions=NUM_ACTIONS,
        frame_dtype="float32",
        frame_shape=FRAME_SHAPE,
        frame_stack=STACK,
        batch_size=batch_size,
        num_unroll_steps=UNROLL,
        **more,
    )
    layout = RecordLayout.of(BatchSlot, sizes)
    return layout.record(bytearray(layout.nbytes))


def gather(table, steps, *, discount, td_steps, random_key=7, **more):
    slot = make_slot(len(steps), **more)
    for array in named(slot).values():
        array.view(np.uint8)[...] = 0xAA  # leftovers of an earlier batch
    steps = np.array(steps, np.int64)
    td_steps_B = np.broadcast_to(np.array(td_steps, np.int64), steps.shape).copy()
    Gatherer(table, discount=discount, td_steps=1).fill(slot, steps, td_steps_B, random_key)
    return slot


def store(episodes, transitions=200):
    """A table with all episodes, their records taking turns; the first step of each record, by (episode, offset)."""
    table = make_table(transitions)
    queues = [list(records(episode, number, game=number)) for number, episode in enumerate(episodes)]
    first_step = {}
    while any(queues):
        for number, queue in enumerate(queues):
            if queue:
                record = queue.pop(0)
                first_step[number, int(record.offset[0])] = table.head
                table.insert(record, actor=0, epoch=0)
    return table, first_step


def step_of(first_step, number, t):
    offset = max(offset for episode, offset in first_step if episode == number and offset <= t)
    return first_step[number, offset] + t - offset


def assert_is_the_naive_unroll(slot, row, episode, t, discount, td_steps):
    """Asserts that this row of a batch holds the unroll of step t of the episode."""
    expected = naive.targets(episode, t, UNROLL, discount, td_steps)
    values, value_mask, rewards, reward_mask, policies, policy_mask, actions = expected
    np.testing.assert_allclose(slot.unrolls.value_target_BK1[row], values, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(slot.unrolls.value_mask_BK1[row], value_mask)
    np.testing.assert_array_equal(slot.unrolls.reward_target_BK[row], np.float32(rewards))
    np.testing.assert_array_equal(slot.unrolls.reward_mask_BK[row], reward_mask)
    np.testing.assert_array_equal(slot.unrolls.policy_target_BK1A[row], np.float32(policies))
    np.testing.assert_array_equal(slot.unrolls.policy_mask_BK1[row], policy_mask)
    for k, action in enumerate(actions):
        found = slot.unrolls.action_BK[row, k]
        assert found == action if action is not None else 0 <= found < NUM_ACTIONS
    np.testing.assert_array_equal(
        slot.unrolls.observation[row], naive.stacked(episode, t, STACK).ravel().astype(np.float32)
    )


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 23), min_size=1, max_size=4),
    ends=st.lists(st.sampled_from(sorted(ENDS)), min_size=4, max_size=4),
    max_td_steps=st.integers(1, 8),
    discount=st.sampled_from([0.997, 1.0, -1.0, -0.9]),
)
def test_gather_equals_the_unbroken_episode_wherever_records_cut_it(seed, lengths, ends, max_td_steps, discount):
    rng = np.random.default_rng(seed)
    episodes = [random_episode(rng, length, end, full_fraction=0.8) for length, end in zip(lengths, ends, strict=False)]
    table, first_step = store(episodes)
    places = [(number, t) for number, episode in enumerate(episodes) for t in range(len(episode.rewards))]
    steps = [step_of(first_step, *place) for place in places]
    td_steps_B = rng.integers(1, max_td_steps + 1, len(places))  # each position has its own n
    slot = gather(table, steps, discount=discount, td_steps=td_steps_B)
    for row, (number, t) in enumerate(places):
        assert_is_the_naive_unroll(slot, row, episodes[number], t, discount, int(td_steps_B[row]))


def test_gather_reads_round_the_end_of_the_table_when_it_has_gone_round():
    rng = np.random.default_rng(4)
    episodes = [random_episode(rng, 15, "terminated"), random_episode(rng, 15, "truncated")]
    table = make_table(18)
    for number, episode in enumerate(episodes):
        for record in records(episode, number):
            table.insert(record, actor=0, epoch=0)
    assert (table.tail, table.head) == (15, 30)  # the first record of the second episode lies in rows 15, 16, 17, 0, 1
    steps = np.arange(15, 30)
    slot = gather(table, steps, discount=0.9, td_steps=1)
    for t in range(15):
        assert_is_the_naive_unroll(slot, t, episodes[1], t, 0.9, 1)
    np.testing.assert_array_equal(slot.keys.slot_B, steps % 18)
    np.testing.assert_array_equal(slot.keys.generation_B, steps // 18)


def test_gather_reads_frames_of_both_kinds_when_the_older_ones_are_compressed():
    episode = random_episode(np.random.default_rng(5), 30, "terminated")
    per_transition = bytes_per_transition(FRAME_SHAPE, "float32", NUM_ACTIONS)
    table = Table(
        TableShape(
            capacity_bytes=2 * RECORD_LENGTH * per_transition,
            frame_shape=FRAME_SHAPE,
            frame_dtype="float32",
            num_actions=NUM_ACTIONS,
            trajectory_length=RECORD_LENGTH,
            compressed_bytes=100 * per_transition,
        )
    )
    for record in records(episode, 0):
        table.insert(record, actor=0, epoch=0)
    assert (table.tail, table.frames.raw_tail) == (0, 20)
    slot = gather(table, np.arange(30), discount=0.9, td_steps=2)
    for t in range(30):
        assert_is_the_naive_unroll(slot, t, episode, t, 0.9, 2)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 23), min_size=1, max_size=4),
    ends=st.lists(st.sampled_from(sorted(ENDS)), min_size=4, max_size=4),
)
def test_frames_that_follow_are_those_after_each_action_and_masked_past_the_end(seed, lengths, ends):
    rng = np.random.default_rng(seed)
    episodes = [random_episode(rng, length, end) for length, end in zip(lengths, ends, strict=False)]
    table, first_step = store(episodes)
    places = [(number, t) for number, episode in enumerate(episodes) for t in range(len(episode.rewards))]
    steps = [step_of(first_step, *place) for place in places]
    slot = gather(table, steps, discount=0.9, td_steps=2, next_observations=True)
    for row, (number, t) in enumerate(places):
        assert_is_the_naive_unroll(slot, row, episodes[number], t, 0.9, 2)
        for k in range(1, UNROLL + 1):
            inside = t + k < len(episodes[number].rewards)
            expected = episodes[number].frames[t + k] if inside else np.zeros(FRAME_SHAPE)
            np.testing.assert_array_equal(slot.unrolls.frame_BF[row, STACK + k - 1], np.float32(expected))
            assert slot.unrolls.observation_mask_BK[row, k - 1] == float(inside)


def test_gather_zeroes_frames_that_were_removed_when_the_table_is_full():
    rng = np.random.default_rng(0)
    episode = random_episode(rng, 15, "terminated")  # three records of five
    table, _ = store([episode], transitions=10)
    assert table.tail == 5
    slot = gather(table, [5, 6], discount=1.0, td_steps=2)
    frames = slot.unrolls.observation.reshape(2, STACK, *FRAME_SHAPE)
    np.testing.assert_array_equal(frames[0, :-1], 0.0)
    np.testing.assert_array_equal(frames[1, -2:], np.stack(episode.frames[5:7]))


def test_gather_repeats_its_random_actions_when_the_key_is_the_same():
    episode = random_episode(np.random.default_rng(1), 2, "terminated")
    table, _ = store([episode])
    steps = [1] * 50
    first = gather(table, steps, discount=1.0, td_steps=1, random_key=3).unrolls.action_BK
    np.testing.assert_array_equal(first, gather(table, steps, discount=1.0, td_steps=1, random_key=3).unrolls.action_BK)
    assert (first != gather(table, steps, discount=1.0, td_steps=1, random_key=4).unrolls.action_BK).any()
    assert set(np.unique(first[:, 1:])) == set(range(NUM_ACTIONS))


@pytest.mark.parametrize(
    ("end", "final_value", "expected"),
    [
        # rewards 1, 2, 4; discount 0.5; td_steps 2; root values 10, 20, 30
        ("terminated", 0.0, [1 + 0.5 * 2 + 0.25 * 30, 2 + 0.5 * 4, 4.0, 0.0]),
        ("truncated", 8.0, [1 + 0.5 * 2 + 0.25 * 30, 2 + 0.5 * 4 + 0.25 * 8, 4 + 0.5 * 8, 0.0]),
    ],
)
def test_gather_gives_the_hand_worked_values_of_a_three_step_episode(end, final_value, expected):
    episode = random_episode(np.random.default_rng(2), 3, end)
    episode.rewards, episode.root_values, episode.final_value = [1.0, 2.0, 4.0], [10.0, 20.0, 30.0], final_value
    table, _ = store([episode])
    slot = gather(table, [0], discount=0.5, td_steps=2)
    np.testing.assert_allclose(slot.unrolls.value_target_BK1[0], expected)
    np.testing.assert_array_equal(slot.unrolls.value_mask_BK1[0], [1, 1, 1, 1 if end == "terminated" else 0])
    np.testing.assert_array_equal(slot.unrolls.reward_target_BK[0], [1, 2, 4])
    np.testing.assert_array_equal(slot.unrolls.policy_mask_BK1[0], [1, 1, 1, 0])


def test_gather_flips_the_sign_at_every_ply_when_two_players_alternate():
    episode = random_episode(np.random.default_rng(3), 3, "terminated")
    episode.rewards = [0.0, 0.0, 1.0]  # the player of plies 0 and 2 wins
    table, _ = store([episode])
    slot = gather(table, [0], discount=-1.0, td_steps=100)
    np.testing.assert_allclose(slot.unrolls.value_target_BK1[0], [1.0, -1.0, 1.0, 0.0])


def search_again(table, step, value):
    """Stores a fresh search value of a step, as a reanalyzer's answer does."""
    table.steps.root_value[step % table.capacity] = value
    table.added.search_version_C[step % table.capacity] = 2


@pytest.mark.parametrize(
    ("first_newest", "expected"),
    [
        # rewards 1, 2, 4, 0; discount 0.5; td_steps 1; the actor's values 10, 20, 30, 40; searched again: 5, -, 7, 8
        (0, [1 + 0.5 * 20, 2 + 0.5 * 30, 4 + 0.5 * 40, 0.0]),
        (1, [5.0, 2 + 0.5 * 30, 7.0, 8.0]),
    ],
    ids=["newest", "older"],
)
def test_older_samples_take_the_values_of_their_newest_searches(first_newest, expected):
    episode = random_episode(np.random.default_rng(2), 4, "terminated")
    episode.rewards, episode.root_values = [1.0, 2.0, 4.0, 0.0], [10.0, 20.0, 30.0, 40.0]
    table, _ = store([episode])
    for step, value in ((0, 5.0), (2, 7.0), (3, 8.0)):
        search_again(table, step, value)
    steps = np.array([0])
    slot = gather(table, steps, discount=0.5, td_steps=1)
    Gatherer(table, discount=0.5, td_steps=1).mix_in_search_values(slot.unrolls, steps, first_newest)
    np.testing.assert_allclose(slot.unrolls.value_target_BK1[0], expected)


def test_search_values_stop_at_the_end_of_a_game():
    episode = random_episode(np.random.default_rng(2), 2, "terminated")
    table, _ = store([episode])
    search_again(table, 0, 5.0)
    search_again(table, 1, 6.0)
    slot = gather(table, [0], discount=0.5, td_steps=1)
    Gatherer(table, discount=0.5, td_steps=1).mix_in_search_values(slot.unrolls, np.array([0]), 2)
    np.testing.assert_array_equal(slot.unrolls.value_target_BK1[0], [5.0, 6.0, 0.0, 0.0])


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 23), min_size=1, max_size=3),
    ends=st.lists(st.sampled_from(sorted(ENDS)), min_size=3, max_size=3),
    td_steps=st.integers(1, 5),
)
def test_mixed_values_equal_the_twin_wherever_records_cut_the_episode(seed, lengths, ends, td_steps):
    rng = np.random.default_rng(seed)
    episodes = [random_episode(rng, length, end) for length, end in zip(lengths, ends, strict=False)]
    table, first_step = store(episodes)
    places = [(number, t) for number, episode in enumerate(episodes) for t in range(len(episode.rewards))]
    steps = np.array([step_of(first_step, *place) for place in places])
    fresh = [{} for _ in episodes]
    for (number, t), step in zip(places, steps, strict=True):
        if rng.random() < 0.6:
            fresh[number][t] = float(np.float32(rng.normal()))
            search_again(table, step, fresh[number][t])
    first_newest = int(rng.integers(0, table.head + 1))
    slot = gather(table, steps, discount=0.9, td_steps=td_steps)
    Gatherer(table, discount=0.9, td_steps=1).mix_in_search_values(slot.unrolls, steps, first_newest)
    for row, (number, t) in enumerate(places):
        values, value_mask, *_ = naive.targets(episodes[number], t, UNROLL, 0.9, td_steps)
        if steps[row] < first_newest:
            values = naive.mixed_values(values, t, fresh[number])
        np.testing.assert_allclose(slot.unrolls.value_target_BK1[row], values, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(slot.unrolls.value_mask_BK1[row], value_mask)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 23), min_size=1, max_size=3),
    td_steps=st.integers(1, 9),
)
def test_value_errors_and_bootstraps_are_those_of_the_unbroken_episode(seed, lengths, td_steps):
    rng = np.random.default_rng(seed)
    episodes = [random_episode(rng, length, "terminated") for length in lengths]
    table, first_step = store(episodes)
    gatherer = Gatherer(table, discount=0.9, td_steps=td_steps)
    for number, episode in enumerate(episodes):
        for t in range(len(episode.rewards)):
            step = step_of(first_step, number, t)
            expected = abs(episode.root_values[t] - naive.value_target(episode, t, 0.9, td_steps))
            assert gatherer.value_errors(step, 1)[0] == pytest.approx(expected, abs=1e-5)
            later = gatherer.later_steps(np.array([step]), np.array([td_steps]))[0]
            inside = t + td_steps < len(episode.rewards)
            assert later == (step_of(first_step, number, t + td_steps) if inside else NONE)


def test_stacks_are_zeros_where_there_is_no_step():
    episode = random_episode(np.random.default_rng(0), 5, "terminated")
    table, _ = store([episode])
    stacks = np.full((2, STACK * FRAME_SHAPE[0]), 7.0, np.float32)
    Gatherer(table, discount=1.0, td_steps=1).stacks(np.array([NONE, 4]), stacks)
    np.testing.assert_array_equal(stacks[0], 0.0)
    np.testing.assert_array_equal(stacks[1].reshape(STACK, -1), np.stack(episode.frames[1:5]))
