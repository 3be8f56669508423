"""The loss where actions are vectors: by hand, over a batch that is learnt by heart, and unchanged elsewhere.

Shape legend    B unrolls   K unroll steps   K1 = K + 1 states   A candidates   D numbers of an action
"""

import pytest
import torch
from torch.distributions import Categorical

from mzpipe.config import LearnerConfig, NetworkConfig
from mzpipe.learner.diagnostics import diagnose
from mzpipe.learner.loss import muzero_loss, unroll
from mzpipe.learner.step import TrainingStep
from mzpipe.nets import Model

from .batches import NUM_ACTIONS, SUPPORT, UNROLL, make_batch, make_model

D, BINS = 2, 3
BINNED = {"action_head": "bins", "action_bins": BINS}


def make_vector_model(**changes):
    torch.manual_seed(0)
    config = NetworkConfig(hidden_size=32, value_support_size=SUPPORT, reward_support_size=SUPPORT, **changes)
    model = Model(config, (5,), NUM_ACTIONS, action_size=D, training_heads=True)
    torch.nn.init.normal_(model.prediction.policy.weight, std=0.5)
    return model


def make_vector_batch(**sizes):
    batch = make_batch(**sizes)
    states = batch.value_target_BK1.shape
    bins = torch.randint(0, BINS, (*states, NUM_ACTIONS + 1, D), generator=torch.Generator().manual_seed(1))
    vectors = (bins - 1.0).flatten(2)
    return batch._replace(vectors_BK1V=vectors)


def test_batch_knows_which_numbers_were_played_and_which_were_candidates():
    batch = make_vector_batch()
    assert torch.equal(batch.model_action_BK, batch.vectors_BK1V[:, :UNROLL, :D])
    assert torch.equal(batch.candidates_BK1V, batch.vectors_BK1V[..., D:])
    assert torch.equal(make_batch().model_action_BK, make_batch().action_BK)


def test_policy_loss_is_the_targets_cross_entropy_over_the_candidates_by_hand():
    model, batch = make_vector_model(**BINNED), make_vector_batch(batch_size=2, num_unroll_steps=1)
    steps = unroll(model, batch.observation, batch.model_action_BK)
    expected = 0.0
    for sample in range(2):
        for k in range(2):
            policies = Categorical(logits=steps.policy_logits_BK1A[sample, k].view(D, BINS))
            for place in range(NUM_ACTIONS):
                vector = batch.candidates_BK1V[sample, k].view(NUM_ACTIONS, D)[place]
                log_prob = policies.log_prob(vector + 1.0).sum()
                expected -= batch.policy_target_BK1A[sample, k, place] * log_prob / 2
    losses = muzero_loss(model, batch, value_loss_weight=0.0)
    assert losses.policy.item() == pytest.approx(expected.item(), rel=1e-5)
    entropy = sum(
        Categorical(logits=steps.policy_logits_BK1A[sample, k].view(D, BINS)).entropy().sum() / 2
        for sample in range(2)
        for k in range(2)
    )
    with_entropy = muzero_loss(model, batch, value_loss_weight=0.0, entropy_loss_weight=0.1)
    assert with_entropy.policy.item() == pytest.approx((expected - 0.1 * entropy).item(), rel=1e-5)


def test_dynamics_is_unrolled_along_the_vectors_that_were_played():
    model, batch = make_vector_model(), make_vector_batch()
    steps = unroll(model, batch.observation, batch.model_action_BK)
    state = model.represent(batch.observation)
    for k in range(UNROLL):
        _, state = model.step(state, batch.vectors_BK1V[:, k, :D])
        assert torch.allclose(steps.state_BK1[:, k + 1], state, atol=1e-6)


@pytest.mark.parametrize("head", [BINNED, {}], ids=["bins", "squashed-gaussian"])
def test_batch_is_learnt_by_heart(head):
    """The best candidate of a state that no other sample shares becomes the likeliest of its candidates."""
    model, batch = make_vector_model(**head), make_vector_batch(batch_size=3, num_unroll_steps=1)
    vectors = torch.rand(batch.vectors_BK1V.shape, generator=torch.Generator().manual_seed(2)) * 1.6 - 0.8
    best = torch.nn.functional.one_hot(torch.tensor([[0, 1], [2, 0], [1, 2]]), NUM_ACTIONS).float()
    batch = batch._replace(policy_target_BK1A=best)
    batch = batch if head else batch._replace(vectors_BK1V=vectors)
    step = TrainingStep(model.train(), LearnerConfig(learning_rate=1e-2))
    for _ in range(300):
        step(batch)
    steps = unroll(model.eval(), batch.observation, batch.model_action_BK)
    log_prob_BK1A = model.sampler.log_prob(steps.policy_logits_BK1A, batch.candidates_BK1V)
    chosen = (log_prob_BK1A * best).sum(-1)
    assert (chosen >= log_prob_BK1A.max(-1).values - 0.1).all()
    mean = muzero_loss(model, batch, value_loss_weight=0.0).reward
    assert mean.item() < 1.0


def test_diagnostics_follow_the_vectors_that_were_played():
    model, batch = make_vector_model(**BINNED), make_vector_batch()
    found = diagnose(model, batch)
    steps = unroll(model.eval(), batch.observation, batch.model_action_BK)
    expected = model.sampler.entropy(steps.policy_logits_BK1A[:, 0]).mean().item()
    assert found["policy_entropy"] == pytest.approx(expected)
    assert found["reward_error"].shape == (UNROLL,)


def test_entropy_weight_changes_nothing_for_a_list_of_actions():
    model, batch = make_model(), make_batch()
    losses = [muzero_loss(model, batch, value_loss_weight=0.25, entropy_loss_weight=weight) for weight in (0.0, 0.5)]
    assert torch.equal(losses[0].total, losses[1].total)
