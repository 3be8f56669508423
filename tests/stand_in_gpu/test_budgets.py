"""Budgets: what one batch and one learner step ask of a GPU at EfficientZero's size; a change that asks for more fails.

They hold for any number of rows, so the batches here are small. Lower a budget when less is needed.
"""

import numpy as np
import pytest

from tests.stand_in_gpu import counted
from tests.stand_in_gpu.agents import AskedServer, FedLearner, efficientzero

pytestmark = pytest.mark.on_gpu

# A replay of a captured graph, whatever the precision. Its requests and answers are copied while the host goes on;
# roots bring their observations in another copy.
CHILD_BATCH = {"launches": 1, "h2d_async": 1, "d2h_async": 1, "h2d_blocking": 0, "d2h_blocking": 0, "syncs": 0}
ROOT_BATCH = {**CHILD_BATCH, "h2d_async": 2}
# One launch per operation and direction. The batch is copied while the device works, and all numbers of a step come
# back in one copy, for which the host waits once: when the next step has begun.
LEARNER_STEP = {
    "float32": {"launches": 856, "h2d_blocking": 0, "d2h_blocking": 0, "d2h_async": 1, "syncs": 1},
    "bfloat16": {"launches": 965, "h2d_blocking": 0, "d2h_blocking": 0, "d2h_async": 1, "syncs": 1},
}


def check(seen, budget):
    """Whether what was asked is in the budget."""
    used = {name: getattr(seen, name) for name in budget}
    within = used == budget
    assert within, f"asked for {used}, the budget is {budget}: {seen}"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_inference_stays_in_its_budgets_for_roots_and_children(tmp_path, precision):
    server = AskedServer(tmp_path, efficientzero(f"inference.precision={precision}"), "cuda:0")
    with counted() as seen:
        server.roots(np.zeros(1, np.uint8))
    check(seen, ROOT_BATCH)
    for node in (1, 2):
        with counted() as seen:
            server.children(node, np.arange(3) % node, np.arange(3))
        check(seen, CHILD_BATCH)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_learner_stays_in_its_budget_for_a_step(tmp_path, precision):
    profile = efficientzero("learner.loss_scale=steps", f"learner.precision={precision}")
    fed = FedLearner(tmp_path, profile, "cuda:0")
    fed.train(2)  # makes the optimiser's state; from the second on, a step waits for the one before
    fed.give()
    with counted() as seen:
        assert fed.learner.do_work() == 1
    check(seen, LEARNER_STEP[precision])
