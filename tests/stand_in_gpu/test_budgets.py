"""Budgets: what one batch and one learner step ask of a GPU at EfficientZero's size; a change that asks for more fails.

They hold for any number of rows, so the batches here are small. Lower a budget when less is needed.
"""

from pathlib import Path

import numpy as np
import pytest

from mzpipe.config import load_profile
from mzpipe.ipc.columns import named
from mzpipe.ipc.lane import RequestKind
from mzpipe.ipc.ring import RingWriter
from mzpipe.ipc.roles import Role
from mzpipe.learner.learner import Learner
from tests.stand_in_gpu import counted
from tests.tiny import ACTOR, make_context, make_plane, publish, random_model, started_server

pytestmark = pytest.mark.on_gpu
PROFILE = Path(__file__).parents[2] / "profiles/atari100k.toml"
# The loss has a constant of its own where steps have different weights.
SMALL = ("learner.batch_size=2", "learner.loss_scale=steps", "reanalyze.fraction=0", "topology.trees_per_lane=2")

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
    "float32": {"launches": 978, "h2d_blocking": 1, "d2h_blocking": 1, "syncs": 11},
    "bfloat16": {"launches": 1087, "h2d_blocking": 1, "d2h_blocking": 1, "syncs": 11},
}


def check(seen, budget):
    """Whether what was asked is in the budget."""
    used = {name: getattr(seen, name) for name in budget}
    within = all(used[name] <= budget[name] for name in budget)
    assert within, f"asked for {used}, the budget is {budget}: {seen}"


def efficientzero(directory, *overrides):
    profile = load_profile(PROFILE, (*SMALL, *overrides))
    return profile, make_plane(directory, profile)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_inference_stays_in_its_budgets_for_roots_and_children(tmp_path, precision):
    profile, plane = efficientzero(tmp_path, f"inference.precision={precision}")
    publish(plane, random_model(profile, plane, 0))
    server, (lane, _) = started_server(profile, plane, "cuda:0"), plane.lane_clients(ACTOR)
    for node, budget in ((0, ROOT_BATCH), (1, CHILD_BATCH), (2, CHILD_BATCH)):
        if node == 0:
            server.do_work()  # loads the weights
            lane.prepare(last_node=profile.search.num_simulations)
            lane.request(RequestKind.ROOT, node_index=0, num_rows=2)
        else:
            lane.parent_index[:], lane.action[:] = node - 1, 0
            lane.request(RequestKind.RECURRENT, node_index=node, num_rows=2)
        with counted() as seen:
            assert server.do_work() == 1
        assert lane.ready() and np.isfinite(lane.policy_logits[:2]).all()
        check(seen, budget[precision])


class Fed:
    """A learner of EfficientZero's size on the stand-in, and the producer of its batches."""

    def __init__(self, directory, *overrides):
        self.profile, self.plane = efficientzero(directory, *overrides)
        self.writer = RingWriter(self.plane.batch_ring(0))
        self.learner = Learner(make_context(self.profile, self.plane, Role.LEARNER, device="cuda:0"))
        self.learner.on_start()

    def give(self):
        slot = self.writer.claim()
        for name, array in named(slot).items():
            array[...] = 1 if "mask" in name or name == "weight_B" else 0
        slot.unrolls.policy_target_BK1A[..., 0] = 1
        self.writer.commit()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_learner_stays_in_its_budget_for_a_step(tmp_path, precision):
    fed = Fed(tmp_path, f"learner.precision={precision}")
    for _ in range(3):
        fed.give()
    assert fed.learner.do_work() == 1  # makes the optimiser's state
    with counted() as seen:
        assert fed.learner.do_work() == 1
    check(seen, LEARNER_STEP[precision])
