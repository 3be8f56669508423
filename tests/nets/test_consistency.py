"""The consistency head: its range, and which branch learns."""

import torch
from torch.nn.functional import cosine_similarity

from mzpipe.nets.consistency import Consistency


def make_head():
    torch.manual_seed(0)
    return Consistency(state_size=6, projection_size=5, hidden_size=4).double()


def test_consistency_is_the_negative_cosine_of_prediction_and_projection():
    head, state, observed = make_head(), torch.rand(8, 2, 3).double(), torch.rand(8, 2, 3).double()
    loss_R = head(state, observed)
    expected = -cosine_similarity(head.predictor(head.projector(state)), head.projector(observed), dim=1)
    torch.testing.assert_close(loss_R, expected)
    assert loss_R.abs().max() <= 1.0


def test_consistency_takes_the_observed_branch_as_a_constant():
    head, state = make_head(), torch.rand(8, 6).double().requires_grad_()
    observed = torch.rand(8, 6).double().requires_grad_()
    parameters = list(head.parameters())
    found = torch.autograd.grad(head(state, observed).sum(), [state, *parameters], retain_graph=True)
    constant = head.projector(observed).detach()
    plain = -cosine_similarity(head.predictor(head.projector(state)), constant, dim=1).sum()
    for ours, theirs in zip(found, torch.autograd.grad(plain, [state, *parameters]), strict=True):
        torch.testing.assert_close(ours, theirs)
    head(state, observed).sum().backward()
    assert observed.grad is None
    assert state.grad.abs().max() > 0


def test_consistency_falls_to_minus_one_when_it_is_trained_on_equal_pairs():
    head, state = make_head(), torch.rand(16, 6).double()
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        loss = head(state, state).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < -0.98
