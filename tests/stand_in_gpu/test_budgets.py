"""Budgets: what one batch and one learner step ask of a GPU at EfficientZero's size; a change that asks for more fails.

They hold for any number of rows, so the batches here are small. Lower a budget when less is needed.
"""

import numpy as np
import pytest

from tests.stand_in_gpu import counted
from tests.stand_in_gpu.agents import AskedServer, FedLearner, efficientzero

pytestmark = pytest.mark.on_gpu

# Each operation of the network is a launch, and under autocast so is every cast of a weight. Three arrays go to the
# device (rows, rows, actions), one comes back, and the host waits for each.
CHILD_BATCH = {
    "float32": {"launches": 88, "h2d_blocking": 3, "d2h_blocking": 1, "syncs": 4},
    "bfloat16": {"launches": 127, "h2d_blocking": 3, "d2h_blocking": 1, "syncs": 4},
}
# Observations and rows go to the device.
ROOT_BATCH = {
    "float32": {"launches": 84, "h2d_blocking": 2, "d2h_blocking": 1, "syncs": 3},
    "bfloat16": {"launches": 112, "h2d_blocking": 2, "d2h_blocking": 1, "syncs": 3},
}
# One launch per operation and direction, with a copy of every buffer. The batch is copied while the device works. The
# host waits for a constant of the loss, for the verdict that all is finite, for the priorities, for the scalars that it
# counts, and for the copy of the batch.
LEARNER_STEP = {
    "float32": {"launches": 984, "h2d_blocking": 1, "d2h_blocking": 1, "syncs": 11},
    "bfloat16": {"launches": 1093, "h2d_blocking": 1, "d2h_blocking": 1, "syncs": 11},
}


def check(seen, budget):
    """Whether what was asked is in the budget."""
    used = {name: getattr(seen, name) for name in budget}
    within = all(used[name] <= budget[name] for name in budget)
    assert within, f"asked for {used}, the budget is {budget}: {seen}"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_inference_stays_in_its_budgets_for_roots_and_children(tmp_path, precision):
    server = AskedServer(tmp_path, efficientzero(f"inference.precision={precision}"), "cuda:0")
    with counted() as seen:
        server.roots(np.zeros(1, np.uint8))
    check(seen, ROOT_BATCH[precision])
    for node in (1, 2):
        with counted() as seen:
            server.children(node, np.arange(3) % node, np.arange(3))
        check(seen, CHILD_BATCH[precision])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_learner_stays_in_its_budget_for_a_step(tmp_path, precision):
    # The loss has a constant of its own where steps have different weights.
    profile = efficientzero("learner.loss_scale=steps", f"learner.precision={precision}")
    fed = FedLearner(tmp_path, profile, "cuda:0")
    fed.train(1)  # makes the optimiser's state
    fed.give()
    with counted() as seen:
        assert fed.learner.do_work() == 1
    check(seen, LEARNER_STEP[precision])
