"""Stacks made from frames that a batch carries once: against whole episodes, the table's stacks, and their loss."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mzpipe.learner import loss
from mzpipe.learner.augment import Augmentation
from mzpipe.learner.batches import load_batch
from mzpipe.learner.loss import muzero_loss
from mzpipe.learner.stacks import following_observations, only_stored
from mzpipe.replay.gather import Gatherer
from tests.learner.batches import UNROLL, make_batch, make_image_model, with_frames, with_mask
from tests.naive import gather as naive
from tests.replay import test_gather as gathering
from tests.replay.episodes import ENDS, random_episode

CPU = torch.device("cpu")
STACK, CHANNELS, SIDE = 3, 4, 16  # three colours and a plane with the action
SIZE, STORED = 6, [4, 3, 2, 0, 4, 1]


def stacks_of(table, steps):
    """(the unrolls' roots, the observations after each of their actions), from a batch that is gathered."""
    slot = gathering.gather(table, steps, discount=0.9, td_steps=2, next_observations=True)
    batch = load_batch(slot.unrolls, CPU)
    return batch.observation.numpy(), made(batch).numpy()


def made(batch):
    """The observations after all actions, as the loss sees them."""
    return only_stored(following_observations(batch), batch.observation_mask_BK)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(1, 23), min_size=1, max_size=4),
    ends=st.lists(st.sampled_from(sorted(ENDS)), min_size=4, max_size=4),
)
def test_stacks_are_those_of_the_unbroken_episode_and_zeros_past_its_end(seed, lengths, ends):
    rng = np.random.default_rng(seed)
    episodes = [random_episode(rng, length, end) for length, end in zip(lengths, ends, strict=False)]
    table, first_step = gathering.store(episodes)
    places = [(number, t) for number, episode in enumerate(episodes) for t in range(len(episode.rewards))]
    root_B, following_BK = stacks_of(table, [gathering.step_of(first_step, *place) for place in places])
    for row, (number, t) in enumerate(places):
        np.testing.assert_array_equal(root_B[row], naive.stacked(episodes[number], t, gathering.STACK).ravel())
        for k in range(1, gathering.UNROLL + 1):
            inside = t + k < len(episodes[number].rewards)
            expected = naive.stacked(episodes[number], t + k, gathering.STACK).ravel() if inside else 0.0
            np.testing.assert_array_equal(following_BK[row, k - 1], expected)


def test_stacks_are_the_tables_own_when_the_first_frames_of_the_episode_were_removed():
    episode = random_episode(np.random.default_rng(0), 15, "terminated")
    table, _ = gathering.store([episode], transitions=10)
    assert table.tail == 5
    steps, num_steps = np.arange(5, 15), gathering.UNROLL
    gatherer = Gatherer(table, discount=0.9, td_steps=2)
    later_N = gatherer.later_steps(np.repeat(steps, num_steps), np.tile(np.arange(1, num_steps + 1), len(steps)))
    root_B, following_BK = stacks_of(table, steps)
    for found, step_N in ((root_B, steps), (following_BK.reshape(len(later_N), -1), later_N)):
        expected = np.empty_like(found)
        gatherer.stacks(step_N, expected)
        np.testing.assert_array_equal(found, expected)
    assert (root_B[0, :-2] == 0.0).all() and (root_B[0, -2:] != 0.0).all()


def image_batch():
    """Frames once; some unrolls end before their last action."""
    generator = torch.Generator().manual_seed(1)

    def frames(number):
        return torch.randint(0, 256, (SIZE, number, CHANNELS, SIDE, SIDE), generator=generator, dtype=torch.uint8)

    return with_mask(with_frames(make_batch()._replace(frame_BF=frames(STACK)), frames(UNROLL)), STORED)


def with_whole_stacks(batch):
    """The same batch with the stacks of all states, each as a single frame."""
    stacks = [batch.observation]
    for k in range(1, UNROLL + 1):
        stored_B = torch.tensor(STORED) >= k
        stack = torch.cat(list(batch.frame_BF[:, k : k + STACK].unbind(1)), 1)
        stacks.append(torch.where(stored_B[:, None, None, None], stack, torch.zeros_like(stack)))
    return batch._replace(frame_BF=torch.stack(stacks, 1))


def image_model(**changes):
    model = make_image_model((STACK * CHANNELS, SIDE, SIDE), **changes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def outcome(model, batch, consistency_steps):
    """The losses, all gradients and the batch statistics of one step."""
    torch.manual_seed(3)
    model.take_mean(batch.observation, 1.0)
    losses = muzero_loss(
        model,
        batch,
        value_loss_weight=0.25,
        consistency_loss_weight=2.0,
        consistency_steps=consistency_steps,
        augmentation=Augmentation(shift=2, intensity=0.05),
    )
    losses.total.backward()
    return [*losses, *(parameter.grad for parameter in model.parameters()), *model.buffers()]


@pytest.mark.parametrize("consistency_steps", ["all", "one"])
@pytest.mark.parametrize("mean_image", [False, True])
def test_loss_and_gradients_are_those_of_whole_stacks_bit_for_bit(mean_image, consistency_steps):
    batch = image_batch()
    whole = with_whole_stacks(batch)
    assert (batch.frame_stack, whole.frame_stack) == (STACK, 1)
    pairs = zip(
        outcome(image_model(mean_image=mean_image), batch, consistency_steps),
        outcome(image_model(mean_image=mean_image), whole, consistency_steps),
        strict=True,
    )
    assert all(torch.equal(found, expected) for found, expected in pairs)


def test_loss_normalises_over_zeros_where_no_observation_is_stored(monkeypatch):
    batch, whole = image_batch(), with_whole_stacks(image_batch())
    assert torch.equal(made(batch), whole.frame_BF[:, 1:])
    assert not made(batch)[batch.observation_mask_BK == 0].any()
    assert following_observations(batch)[batch.observation_mask_BK == 0].any()
    expected = outcome(image_model(), batch, "all")[0]
    monkeypatch.setattr(loss, "only_stored", lambda observation_BN, mask_BN: observation_BN)
    assert outcome(image_model(), batch, "all")[0] != expected


@pytest.mark.parametrize("channels", [1, CHANNELS])
def test_model_observes_contiguous_images_whether_frames_follow_or_not(channels):
    """Else another memory layout could choose other convolutions, and so other rounding."""
    batch, model = image_batch(), image_model()
    batch = batch._replace(frame_BF=batch.frame_BF[:, :, :channels].contiguous())
    assert not batch.observation.is_contiguous()
    assert model.observe(batch.observation).is_contiguous()
    assert model.observe(made(batch)).is_contiguous()


@pytest.mark.parametrize("frame_shape", [(5,), (1, 4, 6), (3, 4, 6)])
def test_stacks_are_views_until_the_mask_is_applied(frame_shape):
    frames = torch.rand(SIZE, STACK + UNROLL, *frame_shape)
    batch = make_batch()._replace(frame_BF=frames, observation_mask_BK=torch.ones(SIZE, UNROLL))
    assert batch.observation.data_ptr() == frames.data_ptr()
    assert following_observations(batch).data_ptr() == frames[:, 1:].data_ptr()


def test_root_is_a_view_when_no_frames_follow():
    frames = torch.arange(SIZE * STACK * 5.0).view(SIZE, STACK, 5)
    batch = make_batch()._replace(frame_BF=frames)
    assert batch.observation.data_ptr() == frames.data_ptr()
    assert torch.equal(batch.observation, frames.flatten(1))
