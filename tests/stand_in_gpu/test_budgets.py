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
# One launch per operation and direction. The batch, in ten copies, and the step's numbers are copied while the device
# works; the results come back in one copy, for which the host waits once: when the next step has begun. Two queries,
# which never wait, ask whether the last step and this one have been timed.
LEARNER_STEP = {
    "replays": 0,
    "h2d_async": 11,
    "d2h_async": 1,
    "h2d_blocking": 0,
    "h2d_pageable": 0,
    "d2h_blocking": 0,
    "syncs": 1,
    "event_queries": 2,
}
LAUNCHES = {"float32": 853, "bfloat16": 962}
# A captured one is one replay. Outside of it are copies on the device: of the batch into the graph's, one for each of
# its three types, and of the inputs for measuring statistics, two and a view that counts as a launch here. What is
# allocated is the next batch and those inputs.
CAPTURED_STEP = {**LEARNER_STEP, "replays": 1, "launches": 1 + 3 + 3, "captured": 0, "allocations": 10 + 2}


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


@pytest.mark.parametrize("cuda_graphs", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_learner_stays_in_its_budget_for_a_step(tmp_path, precision, cuda_graphs):
    choices = f"learner.precision={precision}", f"learner.cuda_graphs={str(cuda_graphs).lower()}"
    fed = FedLearner(tmp_path, efficientzero("learner.loss_scale=steps", *choices), "cuda:0")
    fed.train(3)  # makes the optimiser's state, and the graph; from the second on, a step waits for the one before
    fed.give()
    with counted() as seen:
        assert fed.learner.do_work() == 1
    check(seen, CAPTURED_STEP if cuda_graphs else {**LEARNER_STEP, "launches": LAUNCHES[precision]})
